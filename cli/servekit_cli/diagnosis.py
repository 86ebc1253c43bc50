"""What `servekit doctor` looks at, in the order in which one thing needs the other."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from servekit.errors import EnvironmentBuildError, PredictorError, ServekitError, SpecError, UsageError
from servekit.runtime.model import Model
from servekit.runtime.processors import count_cores
from servekit.spec import Mode, Spec
from servekit.spec.schema import render_spec_schema
from servekit_cli.environment import needs_environment, prepare_environment
from servekit_cli.environment.requirements import describe_provided
from servekit_cli.options import describe_left_out, load_spec_for_run
from servekit_cli.running import inspect_model
from servekit_cli.scaffold import SCHEMA_PATH

__all__ = ["Finding", "diagnose"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        grade: `problem` means that the predictor cannot run.
        subject: What was looked at.
        text: How it is, and what to do about it.
    """

    grade: Literal["good", "note", "warning", "problem"]
    subject: str
    text: str


def diagnose(path: Path) -> Iterator[Finding]:
    """Look at a project; ends at the first problem that hides what comes after it."""
    try:
        spec = load_spec_for_run(path)
    except (SpecError, UsageError) as error:
        yield Finding("problem", "spec", str(error))
        return
    yield Finding("good", "spec", f"{spec.path} can be used")
    for warning in spec.warnings:
        yield Finding("warning", "spec", warning)
    yield from _look_at_editor_schema(spec)
    yield from _look_at_machine(spec)
    try:
        provided = describe_provided(spec)
        python = prepare_environment(spec)
    except EnvironmentBuildError as error:
        yield Finding("problem", "environment", str(error))
        yield Finding("note", "predictor", "not looked at, as there is no environment to import it in")
        return
    kind = (
        "made for this spec" if needs_environment(spec) else "the one that runs this command, as no dependency is named"
    )
    yield Finding("good", "environment", f"{python} ({kind})")
    if provided:
        yield Finding("note", "environment", provided)
    yield from _look_at_predictor(spec, python)
    if spec.mode == "predict" and spec.trainer is not None:
        yield from _look_at_predictor(spec.for_mode("train"), python)


def _look_at_editor_schema(spec: Spec) -> Iterator[Finding]:
    file = spec.root / SCHEMA_PATH
    if file.is_file() and file.read_text(encoding="utf-8") != render_spec_schema():
        remedy = f"Write it anew: servekit schema --spec > {SCHEMA_PATH}"
        yield Finding("warning", "editor", f"{SCHEMA_PATH} is from another version of servekit.\n{remedy}")


def _look_at_machine(spec: Spec) -> Iterator[Finding]:
    if spec.build.gpu and not Path("/dev/nvidiactl").exists():
        text = "build.gpu is true, and there is no NVIDIA GPU here.\nThe predictor must do without one on this machine."
        yield Finding("warning", "GPU", text)
    if left_out := describe_left_out(spec):
        yield Finding("note", "build", left_out)
    cores, most = count_cores(), spec.serve.workers.max
    if isinstance(most, int) and most > cores and not spec.build.gpu:
        text = f"serve.workers goes up to {most}, and there are {cores} processor cores here.\nUse fewer workers."
        yield Finding("warning", "workers", text)


def _look_at_predictor(spec: Spec, python: Path) -> Iterator[Finding]:
    subject = "trainer" if spec.mode == "train" else "predictor"
    try:
        model = inspect_model(spec, python)
    except PredictorError as error:
        yield Finding("problem", subject, str(error))
    except ServekitError as error:
        yield Finding("problem", subject, f"{error}\n{_IMPORT_REMEDY}")
    else:
        yield Finding("good", subject, f"{spec.predictor} can be imported")
        yield Finding("good", "types", _describe(spec.mode, model))


def _describe(mode: Mode, model: Model) -> str:
    inputs = ", ".join(model.input_schema.get("properties", {})) or "nothing"
    manner = "text piece by piece" if model.concatenates else "items one by one" if model.streams else "one value"
    return f"{mode} takes {inputs} and gives {manner}"


_IMPORT_REMEDY = "Mend what the traceback shows."
