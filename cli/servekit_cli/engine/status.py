"""BuildKit's own reports, whether they come as JSON or as protobuf, and the events that they amount to."""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from servekit_cli.engine.events import BuildEvent, BuildWarning, StepDone, StepLog, StepProgress, StepStarted

__all__ = ["LineSplitter", "Log", "Status", "StatusReader", "Transfer", "Vertex"]


@dataclass(frozen=True)
class Vertex:
    """A step as it is now. Times are seconds since 1970; None for not yet."""

    digest: str
    name: str
    started: float | None = None
    completed: float | None = None
    is_cached: bool = False
    error: str = ""


@dataclass(frozen=True)
class Transfer:
    """How far a step got with bytes that it moves."""

    vertex: str
    name: str
    current: int
    total: int


@dataclass(frozen=True)
class Log:
    """What a step printed: any piece of it."""

    vertex: str
    data: bytes


@dataclass(frozen=True)
class Status:
    """One report."""

    vertexes: tuple[Vertex, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    logs: tuple[Log, ...] = ()
    warnings: tuple[str, ...] = ()


class StatusReader:
    """Turns reports into events.

    A report says how things are; the same step comes again and again, and some (a base image, the
    context) start and end twice: first the look at what is to be had, then the having. Every step gets
    one StepStarted here, and another StepDone only if it says something else.
    """

    def __init__(self) -> None:
        self._states: dict[str, _StepState] = {}

    def read(self, status: Status) -> Iterator[BuildEvent]:
        """Give the events of one report, in an order in which they can have happened."""
        for vertex in status.vertexes:
            if vertex.started is not None and vertex.digest not in self._states:
                self._states[vertex.digest] = _StepState()
                yield StepStarted(vertex.digest, vertex.name)
        for log in status.logs:
            yield from self._read_log(log)
        for transfer in status.transfers:
            if transfer.vertex in self._states:
                yield StepProgress(transfer.vertex, transfer.name, transfer.current, transfer.total)
        for vertex in status.vertexes:
            yield from self._read_end(vertex)
        for warning in status.warnings:
            yield BuildWarning(warning)

    def _read_log(self, log: Log) -> Iterator[BuildEvent]:
        if state := self._states.get(log.vertex):
            yield from (StepLog(log.vertex, line) for line in state.lines.feed(log.data))

    def _read_end(self, vertex: Vertex) -> Iterator[BuildEvent]:
        state = self._states.get(vertex.digest)
        if state is None or vertex.started is None or vertex.completed is None:
            return
        yield from (StepLog(vertex.digest, line) for line in state.lines.end())
        done = StepDone(vertex.digest, vertex.is_cached, vertex.completed - vertex.started, vertex.error)
        if done != state.done and not (state.done and state.done.is_cached > done.is_cached):
            state.done = done
            yield done


class LineSplitter:
    """Cuts a stream of bytes into lines of text as a terminal would leave them."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""

    def feed(self, data: bytes) -> list[str]:
        """Give the lines that are complete now."""
        *lines, self._rest = (self._rest + self._decoder.decode(data)).split("\n")
        return [_as_left_by(line) for line in lines]

    def end(self) -> list[str]:
        """Give what has no end of line."""
        rest, self._rest = self._rest + self._decoder.decode(b"", final=True), ""
        return [_as_left_by(rest)] if rest else []


def _as_left_by(line: str) -> str:
    """Leave what a progress bar wrote last, and no colours."""
    return _CONTROL.sub("", line).rstrip("\r").rpartition("\r")[2]


# "Control sequences" of ECMA-48, section 5.4.
_CONTROL: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


@dataclass
class _StepState:
    lines: LineSplitter = field(default_factory=LineSplitter)
    done: StepDone | None = None
