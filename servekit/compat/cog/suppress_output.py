"""`cog.suppress_output`: for libraries that print too much."""

import os
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from servekit.scope import EventSink, MetricMode, current_sink, redirected

__all__ = ["suppress_output"]

_DESCRIPTORS: Final = (1, 2)


@contextmanager
def suppress_output() -> Generator[None]:
    """Drop what the caller prints until the block ends, and what C code and child processes print.

    The latter belong to no prediction, so of them it is what the whole process prints.
    """
    with ExitStack() as stack:
        null = os.open(os.devnull, os.O_WRONLY)
        stack.callback(os.close, null)
        for descriptor in _DESCRIPTORS:
            kept = os.dup(descriptor)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, descriptor)
            os.dup2(null, descriptor)
        stack.enter_context(redirected(_Silence(current_sink())))
        yield


class _Silence:
    """A sink that drops text, and hands on metrics."""

    def __init__(self, sink: EventSink | None) -> None:
        self._sink = sink

    def log(self, source: str, text: str) -> None:
        """Drop text."""

    def metric(self, name: str, value: Any, mode: MetricMode, *, is_nested: bool = False) -> None:
        """Hand on a metric."""
        if self._sink is not None:
            self._sink.metric(name, value, mode, is_nested=is_nested)
