"""`python -m benchmarks`: run servekit and its peers side by side and print what was measured."""

import argparse
import json
import os
import platform
import signal
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn

from benchmarks.environments import find_python
from benchmarks.processes import LOAD_CPUS, SERVER_CPUS
from benchmarks.rounds import Plan, run_plan
from benchmarks.scenarios import SCENARIOS
from benchmarks.systems import SYSTEMS
from benchmarks.tables import Measurement, render_tables
from benchmarks.targets import judge, render_headroom, render_verdicts


def main() -> None:
    """Run the plan of the command line."""
    arguments = _read_arguments()
    # Ctrl-C raises already; a plain kill must stop the servers as well.
    signal.signal(signal.SIGTERM, _exit)
    plan = Plan(
        systems=tuple(SYSTEMS[name] for name in arguments.systems),
        scenarios=tuple(SCENARIOS[name] for name in arguments.scenarios),
        rounds=1 if arguments.quick else arguments.rounds,
        seconds=1.0 if arguments.quick else arguments.duration,
    )
    for system in plan.systems:
        find_python(system.environment)
    os.sched_setaffinity(0, LOAD_CPUS)
    measurements: list[Measurement] = []
    code = 0
    try:
        for measurement in run_plan(plan):
            measurements.append(measurement)
            _show_progress(measurement)
    except KeyboardInterrupt:
        print("interrupted; this is what there is", file=sys.stderr)
        code = 130
    parts = [_describe_run(plan), render_tables(measurements)]
    if any(system.name.startswith("servekit") for system in plan.systems):
        parts += [render_headroom(measurements), render_verdicts(judge(measurements))]
    print("\n\n".join(part for part in parts if part))
    if arguments.json is not None:
        _write_json(arguments.json, plan, measurements)
    sys.exit(code)


def _exit(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--systems", type=_names(SYSTEMS), default=list(SYSTEMS), help=", ".join(SYSTEMS))
    parser.add_argument("--scenarios", type=_names(SCENARIOS), default=list(SCENARIOS), help=", ".join(SCENARIOS))
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured (3)")
    parser.add_argument("--duration", type=float, default=3.0, help="seconds per measurement, whole ones (3)")
    parser.add_argument("--quick", action="store_true", help="one round of one second: for a look, not for a claim")
    parser.add_argument("--json", type=Path, help="write every single figure to this file")
    return parser.parse_args()


def _names(known: Iterable[str]) -> Callable[[str], list[str]]:
    """Make a reader of comma-separated names; the first words of a name stand for all that begin with them."""

    def parse(text: str) -> list[str]:
        chosen: set[str] = set()
        for part in text.split(","):
            matching = {name for name in known if f"{name}_".startswith(f"{part}_")}
            if not matching:
                raise argparse.ArgumentTypeError(f"{part!r} is unknown; there are {', '.join(known)}")
            chosen |= matching
        return [name for name in known if name in chosen]

    return parse


def _show_progress(measurement: Measurement) -> None:
    figure = next((f"{name} {value:.4g}" for name, value in _lead(measurement)), "")
    text = measurement.error.splitlines()[0] if measurement.error else figure
    print(
        f"round {measurement.round}  {measurement.system:16} {measurement.scenario:24} {text}",
        file=sys.stderr,
        flush=True,
    )


def _lead(measurement: Measurement) -> Iterable[tuple[str, float]]:
    names = ("rate", "late_p99_ms", "probe_p50_ms", "ready_seconds", "lost")
    return ((name, measurement.figures[name]) for name in names if measurement.figures.get(name) is not None)


def _describe_run(plan: Plan) -> str:
    today = datetime.now(UTC).date().isoformat()
    cpus = f"server on CPU {SERVER_CPUS}, load on CPU {LOAD_CPUS}"
    python = f"CPython {platform.python_version()}, {platform.machine()}, {os.cpu_count()} CPUs"
    return f"{today}, {python}, {cpus}; medians of {plan.rounds} rounds of {plan.seconds:.0f} s."


def _write_json(path: Path, plan: Plan, measurements: list[Measurement]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"run": _describe_run(plan), "measurements": [asdict(measurement) for measurement in measurements]}
    path.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
