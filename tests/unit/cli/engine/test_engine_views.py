"""What a user sees of a build."""

import io

import pytest
from rich.console import Console

from servekit_cli.engine import BuildView, make_view
from servekit_cli.engine.events import (
    BuildEvent,
    BuildWarning,
    ImageBuilt,
    StepDone,
    StepLog,
    StepProgress,
    StepStarted,
)
from servekit_cli.engine.live import LiveView
from servekit_cli.engine.steps import Steps
from servekit_cli.engine.views import PlainView, QuietView

EVENTS: list[BuildEvent] = [
    StepStarted("0", "[internal] load build context"),
    StepProgress("0", "transferring context:", 12_000_000, 0),
    StepDone("0", seconds=0.2),
    StepStarted("a", "[1/3] FROM python:3.12-slim"),
    StepDone("a", seconds=0.0),
    StepStarted("b", "[2/3] RUN --mount=type=cache,target=/x --mount=type=bind,from=uv pip install [x]"),
    StepDone("a", is_cached=True, seconds=0.0),
    StepLog("b", "a line with [red]brackets[/red] and a\ttab"),
    StepDone("b", seconds=2.34),
    StepStarted("c", "[3/3] RUN false"),
    BuildWarning("careful"),
    StepDone("c", error="exit code: 1", seconds=0.1),
    ImageBuilt("sha256:abc"),
]


def show(view: BuildView, events: list[BuildEvent]) -> None:
    steps = Steps()
    with view:
        for event in events:
            view.show(event, steps.take(event))


def test_lines_say_what_each_step_does(capsys: pytest.CaptureFixture[str]) -> None:
    show(PlainView(), EVENTS)

    assert capsys.readouterr().err.splitlines() == [
        "#2 [1/3] FROM python:3.12-slim",
        "#3 [2/3] RUN pip install [x]",
        "#2 cached",
        "#3 a line with [red]brackets[/red] and a\ttab",
        "#3 done in 2.3 s",
        "#4 [3/3] RUN false",
        "warning: careful",
        "#4 failed: exit code: 1",
    ]


def test_a_quiet_build_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    show(QuietView(), EVENTS)

    assert capsys.readouterr() == ("", "")


def live(events: list[BuildEvent], width: int = 60) -> str:
    screen = io.StringIO()
    show(LiveView(Console(file=screen, width=width, color_system=None, force_terminal=False)), events)
    return screen.getvalue()


def test_steps_that_ended_stay_on_the_terminal() -> None:
    assert [line.rstrip() for line in live(EVENTS).splitlines() if line.strip()] == [
        "✓ [1/3] FROM python:3.12-slim",
        "✓ [2/3] RUN pip install [x]  2.3 s",
        "warning: careful",
        "✗ [3/3] RUN false",
    ]


def test_a_line_is_never_wider_than_the_terminal() -> None:
    name = "[1/1] RUN " + "x" * 100

    ended = live([StepStarted("a", name), StepDone("a", seconds=1.0)], width=30)

    assert ended.splitlines()[0] == "✓ [1/1] RUN xxxxxxxxxx…  1.0 s"


def test_what_runs_is_drawn_with_its_last_lines() -> None:
    view, steps = LiveView(Console(file=io.StringIO(), width=60)), Steps()
    events: list[BuildEvent] = [StepStarted("a", "[1/1] RUN x"), *(StepLog("a", f"line {n}") for n in range(9))]
    for event in events:
        view.show(event, steps.take(event))
    event = StepProgress("a", "layer", 1_000_000, 20_000_000)
    view.show(event, steps.take(event))
    screen = io.StringIO()

    Console(file=screen, width=60).print(view)

    assert screen.getvalue().splitlines() == [
        "● [1/1] RUN x  0 s  1.0/20.0 MB",
        "    line 4",
        "    line 5",
        "    line 6",
        "    line 7",
        "    line 8",
    ]


def test_without_a_terminal_the_view_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())

    assert isinstance(make_view("auto"), PlainView)
    assert isinstance(make_view("tty"), LiveView)
    assert isinstance(make_view("quiet"), QuietView)


def test_on_a_terminal_the_view_is_live(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")

    assert isinstance(make_view("auto"), LiveView)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(make_view("auto"), PlainView)


def test_the_step_that_failed_is_not_one_that_was_canceled_for_it() -> None:
    steps = Steps()
    for event in (
        StepStarted("a", "[one 1/1] RUN sleep 9"),
        StepStarted("b", "[two 1/1] RUN false"),
        StepDone("a", error="process did not complete: context canceled"),
        StepDone("b", error="exit code: 1"),
    ):
        steps.take(event)

    assert steps.failed is not None
    assert steps.failed.command == "RUN false"
