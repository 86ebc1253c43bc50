"""Interleaved rounds: every system in turn for each project."""

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Server, ServerFailedError, run_server
from benchmarks.scenarios import Scenario, ScenarioFailedError
from benchmarks.systems import System
from benchmarks.tables import Measurement

__all__ = ["Plan", "run_plan"]


@dataclass(frozen=True)
class Plan:
    """What to run: every system through every scenario, so many rounds of so many seconds each."""

    systems: tuple[System, ...]
    scenarios: tuple[Scenario, ...]
    rounds: int
    seconds: float


def run_plan(plan: Plan) -> Iterator[Measurement]:
    """Start every system once per project and round, one after the other, and give what each scenario measured.

    Systems take turns within a round, so that what else the machine does meets all of them alike.
    """
    if any(scenario.name == "start" for scenario in plan.scenarios):
        for system in plan.systems:
            _rehearse(system)
    for number in range(1, plan.rounds + 1):
        for project in dict.fromkeys(scenario.project for scenario in plan.scenarios):
            scenarios = [s for s in plan.scenarios if s.project == project and (number == 1 or not s.once)]
            for system in plan.systems:
                if scenarios:
                    yield from _run_project(plan, number, system, project, scenarios)


def _rehearse(system: System) -> None:
    """Start a server once, so that its bytecode is written and its files are in memory."""
    # What is wrong with it is said where it is measured.
    with contextlib.suppress(ServerFailedError), run_server(system, "echo"):
        pass


def _run_project(
    plan: Plan, number: int, system: System, project: str, scenarios: Sequence[Scenario]
) -> Iterator[Measurement]:
    done = 0
    try:
        with run_server(system, project) as server:
            for scenario in scenarios:
                yield _measure(plan, number, server, scenario)
                done += 1
    except ServerFailedError as error:
        for scenario in scenarios[done:]:
            yield Measurement(number, system.name, scenario.name, {}, str(error))


def _measure(plan: Plan, number: int, server: Server, scenario: Scenario) -> Measurement:
    name = server.system.name
    try:
        return Measurement(number, name, scenario.name, scenario.measure(server, plan.seconds))
    except ScenarioFailedError as error:
        return Measurement(number, name, scenario.name, error.figures, str(error))
    except subprocess.SubprocessError as error:
        server.check()
        return Measurement(number, name, scenario.name, {}, _describe_failure(error))


def _describe_failure(error: subprocess.SubprocessError) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        said = " ".join(part.strip() for part in (error.stdout, error.stderr) if part)
        return f"{Path(error.cmd[0]).name} exited with code {error.returncode}: {said}"
    return str(error)
