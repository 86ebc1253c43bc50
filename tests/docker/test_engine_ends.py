"""Builds that are ended from outside: nothing of them goes on, and nothing is left."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from engine_proxy import EngineProxy

from servekit.errors import EngineError
from servekit_cli.engine import BuildRequest, Engine, build_image, connect, make_view
from servekit_cli.engine.build import build_events
from servekit_cli.engine.events import BuildEvent, StepLog
from servekit_cli.engine.features import Kind
from servekit_cli.engine.steps import Step
from servekit_cli.engine.views import QuietView

# Docker's SDK forgets to close a socket that it could not connect.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.usefixtures("_collect_garbage"),
]

FROM = "FROM python:3.12-slim\n"
DEADLINE_SECONDS = 10


@pytest.fixture
def _collect_garbage() -> Generator[None]:
    yield
    gc.collect()


@pytest.fixture
def marker() -> str:
    """What names the processes of one test."""
    return f"7200.{uuid.uuid4().int % 10**9:09}"


@pytest.fixture
def endless(context: Path, marker: str) -> BuildRequest:
    """A build with a step that says that it runs, and goes on for hours."""
    (context / "Dockerfile").write_text(f"{FROM}RUN echo it runs; sleep {marker}\n")
    return BuildRequest(context, no_cache=True)


def processes_with(text: str) -> list[str]:
    """The command lines of the processes of this machine, those in containers included, that hold a text."""
    found: list[str] = []
    for folder in Path("/proc").iterdir():
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if text in line and int(folder.name) != os.getpid():
            found.append(line)
    return found


def await_none_with(text: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while processes := processes_with(text):
        assert time.monotonic() < deadline, processes
        time.sleep(0.05)


def await_log(events: Iterator[BuildEvent]) -> None:
    next(event for event in events if isinstance(event, StepLog))


def test_closing_a_build_ends_its_steps_and_its_client(kind: Kind, endless: BuildRequest, marker: str) -> None:
    with connect(kind) as engine, closing(build_events(engine, endless)) as events:
        await_log(events)
        assert processes_with(f"sleep {marker}")

    await_none_with(marker)
    await_none_with(str(endless.context))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_build(
    kind: Kind, endless: BuildRequest, marker: str, number: signal.Signals, code: int, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    program = f"""
        from pathlib import Path
        from servekit_cli.engine import BuildRequest, build_image, connect, make_view
        with connect({kind!r}) as engine:
            build_image(engine, BuildRequest(Path({str(endless.context)!r}), no_cache=True), make_view("plain"))
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(scratch)},
        text=True,
    )
    assert process.stderr is not None
    with process, process.stderr:
        next(line for line in process.stderr if line.endswith(" it runs\n") and "RUN" not in line)

        process.send_signal(number)

        process.stderr.read()
        assert process.wait(DEADLINE_SECONDS) == code
    await_none_with(marker)
    assert list(scratch.iterdir()) == []


class _CutWhenItRuns(QuietView):
    """A view that takes the engine away as soon as a step prints something."""

    def __init__(self, proxy: EngineProxy) -> None:
        self._proxy = proxy

    def show(self, event: BuildEvent, step: Step | None) -> None:
        if isinstance(event, StepLog):
            self._proxy.cut()


def test_an_engine_that_dies_during_a_build_is_said_to_be_gone(
    engine: Engine, kind: Kind, endless: BuildRequest, marker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = engine.endpoint.socket
    if socket is None:
        pytest.skip("the engine is not on a socket here")
    with EngineProxy(tmp_path, socket) as proxy:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{proxy.path}")

        with pytest.raises(EngineError, match="went away"), connect(kind) as other:
            build_image(other, endless, _CutWhenItRuns(proxy))

    await_none_with(marker)


def test_an_engine_that_is_gone_before_a_build_is_said_to_be(
    engine: Engine, kind: Kind, endless: BuildRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = engine.endpoint.socket
    if socket is None:
        pytest.skip("the engine is not on a socket here")
    with EngineProxy(tmp_path, socket) as proxy:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{proxy.path}")
        with connect(kind) as other:
            assert other.features.kind == kind
            proxy.cut()

            with pytest.raises(EngineError, match=r"is not running|went away"):
                build_image(other, endless, make_view("quiet"))
