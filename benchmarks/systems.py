"""What is compared: how each system is started, and where it answers."""

import inspect
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchmarks.environments import find_python
from benchmarks.peers.common import load_predictor

__all__ = ["SYSTEMS", "Launch", "System", "list_projects", "prepare_launch"]

_PROJECTS = Path(__file__).parent / "projects"
_ROOT = Path(__file__).parent.parent

# How servekit's server is started; the port is added.
SERVEKIT_COMMAND = ("-m", "servekit.server", "--spec", ".", "--host", "127.0.0.1", "--port", "{port}")
# Both products write lines for each prediction unless told otherwise, the hand-written peers none.
LOG_LEVEL = "warning"


@dataclass(frozen=True)
class Launch:
    """A command in its folder.

    Attributes:
        command: With the port filled in.
        folder: A copy of the project, where it runs.
        environ: The whole environment.
    """

    command: tuple[str, ...]
    folder: Path
    environ: Mapping[str, str]


@dataclass(frozen=True)
class System:
    """One server.

    Attributes:
        name: As `--systems` has it.
        environment: Its virtual environment, None for the one that runs this program.
        arguments: After the interpreter; `{port}` is filled in.
        environ: Variables on top of the usual ones.
        prepare: Adds what it needs to the copy of the project, and gives more variables.
        ready_path: Answers 200 when it is ready.
        ready_mark: What that answer contains.
        live_path: Answers while predictions run.
    """

    name: str
    environment: str | None
    arguments: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict[str, str])
    prepare: Callable[[Path, int], Mapping[str, str]] = lambda _folder, _concurrency: {}
    ready_path: str = "/livez"
    ready_mark: bytes = b""
    live_path: str = "/livez"


def list_projects() -> list[str]:
    """Name every project."""
    return sorted(path.parent.name for path in _PROJECTS.glob("*/servekit.yaml"))


def prepare_launch(system: System, project: str, folder: Path, port: int) -> Launch:
    """Copy a project to `folder` and add what the system needs to run it there."""
    shutil.copytree(_PROJECTS / project, folder, ignore=shutil.ignore_patterns("__pycache__"))
    concurrency: int = yaml.safe_load((folder / "servekit.yaml").read_text())["serve"]["concurrency"]
    python = find_python(system.environment)
    temporary = folder / "tmp"  # Cog leaves folders behind for every prediction; they go with the copy.
    temporary.mkdir()
    environ = {
        **_clean_environ(),
        # Cog starts its worker with whatever `python` is first here.
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(_ROOT),
        "TMPDIR": str(temporary),
        **({"BENCHMARK_LIMIT": str(concurrency)} if project == "overload" else {}),
        **{name: value.format(port=port) for name, value in system.environ.items()},
        **system.prepare(folder, concurrency),
    }
    command = (str(python), *(argument.format(port=port) for argument in system.arguments))
    return Launch(command, folder, environ)


def _clean_environ() -> dict[str, str]:
    # A server that may not keep its bytecode compiles itself anew at each start.
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _prepare_cog(folder: Path, concurrency: int) -> Mapping[str, str]:
    """Write what `cog build` puts into an image: the schema, and the reference in a variable."""
    predictor = load_predictor(folder)
    schema_folder = folder / ".cog"
    schema_folder.mkdir()
    (schema_folder / "openapi_schema.json").write_text(
        json.dumps(_make_cog_schema(predictor.predict, predictor.is_stream))
    )
    (folder / "cog.yaml").write_text('build:\n  python_version: "3.11"\npredict: predict.py:Predictor\n')
    # Cog refuses more than one slot for a sync predictor.
    return {"COG_MAX_CONCURRENCY": str(concurrency if predictor.is_async else 1)}


def _make_cog_schema(predict: Callable[..., Any], is_stream: bool) -> dict[str, Any]:
    kinds = {str: "string", int: "integer", float: "number"}
    parameters = inspect.signature(predict).parameters
    properties = {
        name: {"type": kinds[parameter.annotation], "title": name, "x-order": order}
        for order, (name, parameter) in enumerate(parameters.items())
    }
    output: dict[str, Any] = {"title": "Output"}
    if is_stream:
        output |= {"type": "array", "items": {"type": "string"}, "x-cog-array-type": "iterator"}
    schemas = {
        "Input": {"type": "object", "title": "Input", "required": list(parameters), "properties": properties},
        "Output": output,
    }
    return {
        "openapi": "3.0.2",
        "info": {"title": "Cog", "version": "0.1.0"},
        "paths": {"/predictions": {"post": {"x-cog-streaming": is_stream}}},
        "components": {"schemas": schemas},
    }


def _servekit(isolation: str) -> System:
    return System(
        name=f"servekit_{isolation}",
        environment=None,
        arguments=SERVEKIT_COMMAND,
        environ={"SERVEKIT_ISOLATION": isolation, "SERVEKIT_LOG_LEVEL": LOG_LEVEL},
        ready_path="/readyz",
    )


def _peer(name: str, environment: str, ready_path: str = "/livez") -> System:
    arguments = ("-m", f"benchmarks.peers.{name}", "--port", "{port}")
    return System(name.removesuffix("_app"), environment, arguments, ready_path=ready_path, live_path=ready_path)


# In the order in which they run.
SYSTEMS = {
    system.name: system
    for system in (
        System(
            name="cog",
            environment="cog",
            arguments=("-m", "cog.server.http", "--host", "127.0.0.1"),
            environ={"PORT": "{port}", "COG_PREDICT_TYPE_STUB": "predict.py:Predictor", "COG_LOG_LEVEL": LOG_LEVEL},
            prepare=_prepare_cog,
            ready_path="/health-check",
            ready_mark=b'"READY"',
            live_path="/health-check",
        ),
        _servekit("process"),
        _servekit("thread"),
        _peer("litserve_app", "litserve", ready_path="/health"),
        _peer("fastapi_app", "fastapi"),
        _peer("raw_uvicorn", "raw"),
        _peer("raw_worker", "raw"),
    )
}
