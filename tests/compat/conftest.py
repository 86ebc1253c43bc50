"""Tiny Cog projects, made where a test says what is in them."""

import textwrap
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Server

from servekit.compat.importing import importable_cog
from servekit.compat.predictor import CogPredictor, load_cog_predictor
from servekit.compat.reading import CogReading
from servekit.signature import Signature, inspect_signature

LoadRunner = Callable[[str], CogPredictor]
ReadRunner = Callable[[str], Signature]


@pytest.fixture(scope="module")
def client(server: Server) -> Generator[httpx.Client]:
    """A client of the server that the module starts for all of its tests."""
    with server.client() as client:
        yield client


@pytest.fixture
def gate(tmp_path: Path) -> Generator[Path]:
    """A file that lets predictions end which wait for it; it is there after the test in any case."""
    path = tmp_path / "gate"
    yield path
    path.touch()


@pytest.fixture
def load_runner(tmp_path: Path) -> Generator[LoadRunner]:
    """Load the `Runner` of a piece of code, in this process, with what a worker of a Cog project has."""
    root = tmp_path / "project"
    root.mkdir()

    def load(code: str) -> CogPredictor:
        (root / "run.py").write_text(textwrap.dedent(code))
        return load_cog_predictor("run.py:Runner", root)

    with importable_cog():
        yield load


@pytest.fixture
def read_runner(load_runner: LoadRunner) -> ReadRunner:
    """Read the signature of a `run` method: `read_runner("n: int = Input(ge=1)")`, or with `-> type` behind."""

    def read(parameters: str, output: str = "Any", *, decorator: str = "", body: str = "pass") -> Signature:
        lines = [
            "from __future__ import annotations",
            "import pathlib",
            "from typing import *",
            "from cog import *",
            "class Point(BaseModel):",
            "    x: int",
            "    picture: Optional[Path] = None",
            "class Tree(BaseModel):",
            "    children: list[Tree]",
            "class Payload(TypedDict):",
            "    name: str",
            "    size: NotRequired[int]",
            "class Foreign:",
            "    pass",
            "class Runner:",
            f"    {decorator}",
            f"    def run(self, {parameters}) -> {output}:",
            f"        {body}",
        ]
        loaded = load_runner("\n".join(lines))
        return inspect_signature(loaded.predict, loaded.reference, CogReading())

    return read


@pytest.fixture
def read_input(read_runner: Callable[..., Signature]) -> Callable[[str], dict[str, Any]]:
    """Return the schema of the one input that is declared."""

    def read(declaration: str) -> dict[str, Any]:
        (schema,) = read_runner(declaration).input_schema["properties"].values()
        return dict(schema)

    return read
