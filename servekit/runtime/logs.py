"""What the model prints, told apart by the prediction that printed it.

`sys.stdout` and `sys.stderr` are replaced by streams that look at the Context of each write: inside
a prediction (in whatever thread or task its Context was carried to) the text goes to that
prediction, elsewhere to where it went before. Since `print`, `logging`, `structlog` and `warnings`
all end there, none of them needs an integration of its own.
"""

import io
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TextIO, cast

import msgspec

from servekit.runtime.protocol import Log, Metric, ToServer
from servekit.runtime.text import clean
from servekit.scope import MetricMode, current_sink

__all__ = ["PredictionSink", "SetupSink", "routed_output"]


_MAX_METRICS_BYTES = 1_000_000


class PredictionSink:
    """Takes the logs and metrics of one prediction, up to a limit, and passes them on as messages.

    Args:
        key: The prediction's number in the protocol.
        post: Sends a message; callable from any thread.
        max_bytes: How much text is kept; the rest is counted and dropped.
    """

    __slots__ = ("_dropped", "_is_open", "_key", "_left", "_max_bytes", "_metrics_left", "_post")

    def __init__(self, key: int, post: Callable[[Log | Metric], None], max_bytes: int) -> None:
        self._key = key
        self._post = post
        self._max_bytes = max_bytes
        self._left = max_bytes
        self._metrics_left = _MAX_METRICS_BYTES
        self._dropped = 0
        self._is_open = True

    def log(self, source: str, text: str) -> None:
        """Pass on text; after the prediction's end it goes to the worker's own output."""
        if not self._is_open:
            _original(source).write(text)
            return
        text = clean(text)
        size = len(text) if text.isascii() else len(text.encode())
        if size > self._left:
            kept = text.encode()[: self._left].decode("utf-8", "ignore")
            self._dropped += size - len(kept.encode())
            self._left = 0
            text = kept
        else:
            self._left -= size
        if text:
            self._post(Log(self._key, source, text))

    def metric(self, name: str, value: Any, mode: MetricMode, *, is_nested: bool = False) -> None:
        """Pass on a metric.

        Raises:
            TypeError: The value is nothing that JSON can hold.
            ValueError: The prediction has recorded too much.
        """
        if not self._is_open:
            return
        encoded = msgspec.json.encode(value, enc_hook=_plain_number)
        self._metrics_left -= len(name) + len(encoded)
        if self._metrics_left < 0:
            message = f"the metrics of one prediction may take {_MAX_METRICS_BYTES} bytes; record less, or return it"
            raise ValueError(message)
        self._post(Metric(self._key, name, encoded, mode, is_nested))

    def close(self) -> None:
        """Take nothing more, and say what was cut."""
        self._is_open = False
        if self._dropped:
            notice = (
                f"[servekit: {self._dropped} further bytes were cut; "
                f"a prediction keeps {self._max_bytes} (serve.max_logs)]\n"
            )
            self._post(Log(self._key, "stderr", notice))


class SetupSink:
    """Takes what `setup` prints, so that it reaches the server in order and before `Ready`."""

    def __init__(self, post: Callable[[ToServer], None]) -> None:
        self._post = post

    def log(self, source: str, text: str) -> None:
        """Pass on text."""
        self._post(Log(0, source, clean(text)))

    def metric(self, name: str, value: Any, mode: MetricMode, *, is_nested: bool = False) -> None:
        """Never called: metrics are recorded through a scope, and setup has none."""


def _plain_number(value: Any) -> Any:
    """Turn a numpy number or array into a plain one; numpy need not be imported for that."""
    for method in ("item", "tolist"):
        convert = getattr(value, method, None)
        if convert is not None and getattr(value, "ndim", None) == (0 if method == "item" else value.ndim):
            return convert()
    message = f"a metric holds a {type(value).__name__}, which JSON cannot"
    raise TypeError(message)


class _RoutedBuffer(io.RawIOBase):
    """The `buffer` of a routed stream: bytes take the same way as text."""

    def __init__(self, source: str, fallback: TextIO) -> None:
        self._source = source
        self._fallback = fallback

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        raw = bytes(data)
        sink = current_sink()
        if sink is None:
            self._fallback.flush()
            return self._fallback.buffer.write(raw)
        sink.log(self._source, raw.decode("utf-8", "replace"))
        return len(raw)

    def flush(self) -> None:
        self._fallback.flush()

    def fileno(self) -> int:
        return self._fallback.fileno()


class _RoutedStream(io.TextIOBase):
    """A text stream that asks the Context of every write where it belongs."""

    def __init__(self, source: str, fallback: TextIO) -> None:
        self._source = source
        self.fallback = fallback
        self._buffer = _RoutedBuffer(source, fallback)

    @property
    def buffer(self) -> _RoutedBuffer:
        return self._buffer

    encoding = "utf-8"
    errors = "replace"

    def reconfigure(self, **_options: Any) -> None:
        """Accept what `TextIOWrapper` does; there is nothing to configure here."""

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self.fallback.fileno()

    def flush(self) -> None:
        self.fallback.flush()

    def write(self, text: str, /) -> int:
        sink = current_sink()
        if sink is None:
            self.fallback.write(text)
        elif text:
            sink.log(self._source, text)
        return len(text)


def _original(source: str) -> TextIO:
    stream = sys.stdout if source == "stdout" else sys.stderr
    return stream.fallback if isinstance(stream, _RoutedStream) else stream


@contextmanager
def routed_output() -> Generator[None]:
    """Replace `sys.stdout` and `sys.stderr` by streams that know predictions, and put them back."""
    before = sys.stdout, sys.stderr
    sys.stdout = cast("TextIO", _RoutedStream("stdout", before[0]))
    sys.stderr = cast("TextIO", _RoutedStream("stderr", before[1]))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
