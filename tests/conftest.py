"""What tests of all layers share: tiny real projects, made where the test says what is in them."""

import sys
import tempfile
import textwrap
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml
from pools import RunPool, opened

from servekit.runtime.observer import PoolObserver
from servekit.runtime.pool import Pool
from servekit.spec import Spec, load_spec


class MakeProject(Protocol):
    def __call__(self, code: str, *, predictor: str = ..., **serve: Any) -> Spec: ...


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the bytecode of the tests: without, each process compiles all of them in every run, for four seconds.

    Only now, since a test may write a predictor twice within the second that tells its bytecode from newer code.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", False)
        return (yield)


@pytest.fixture(autouse=True, scope="session")
def _temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """Have what the tests' processes leave, some of which are killed, go with the tests' own folders."""
    folder = str(tmp_path_factory.mktemp("tmp"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(autouse=True)
def _forget_imports() -> Generator[None]:
    """Forget what a predictor left in this process: with `isolation: thread` its modules are imported here."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if "/project/" in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def make_project(tmp_path: Path) -> MakeProject:
    """Write a project (predict.py with the given code, servekit.yaml with the given `serve`) and load its spec."""

    def make(code: str, *, predictor: str = "predict.py:Predictor", **serve: Any) -> Spec:
        root = tmp_path / "project"
        root.mkdir(exist_ok=True)
        (root / "predict.py").write_text(textwrap.dedent(code))
        (root / "servekit.yaml").write_text(yaml.safe_dump({"predictor": predictor, "serve": serve}))
        return load_spec(root)

    return make


@pytest.fixture
def run_pool(make_project: MakeProject) -> RunPool:
    """Run a real pool for a piece of code, ready to take predictions, and end it with all of its processes."""

    @asynccontextmanager
    async def run(
        code: str,
        *,
        predictor: str = "predict.py:Predictor",
        observer: PoolObserver | None = None,
        devices: Sequence[str] = (),
        **serve: Any,
    ) -> AsyncGenerator[Pool]:
        spec = make_project(code, predictor=predictor, **serve)
        pool = Pool(spec, python=sys.executable, observer=observer, devices=devices)
        async with opened(pool):
            yield pool

    return run
