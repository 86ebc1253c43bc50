"""What a server and a worker say to each other.

Frames on a socket pair: four bytes of length (big endian), then one msgpack array of messages.
Values of the model (inputs, outputs, metrics) are JSON bytes that were encoded once and are only
passed on. A prediction is named by its `key`, a number that the server counts up: ids come from
clients and never reach a file name or a lookup in the worker.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

__all__ = [
    "MAX_FRAME_BYTES",
    "Cancel",
    "Completed",
    "Configure",
    "Configured",
    "FrameError",
    "FrameReader",
    "Health",
    "HealthCheck",
    "Loaded",
    "Log",
    "Message",
    "Metric",
    "Outputs",
    "Pause",
    "Ping",
    "Pong",
    "Ready",
    "Resume",
    "Run",
    "Setup",
    "SetupFailed",
    "Shutdown",
    "ToServer",
    "ToWorker",
    "decode_to_server",
    "decode_to_worker",
    "encode_frame",
    "substitute",
]

MAX_FRAME_BYTES = 1 << 31
"""A longer frame means that the two sides lost step; the connection is given up."""


class FrameError(ValueError):
    """What came is no frame, or not one of messages."""


class Message(msgspec.Struct, array_like=True, gc=False):
    """Base of all messages: an array whose first item says which one."""


# ------------------------------------------------------------------ server to worker


class Setup(Message, tag=0):
    """Run `setup`. Sent after `Loaded`, so that a caller may look at the schema first and leave it at that."""


class Run(Message, tag=1):
    """Run a prediction; the server holds a slot for it.

    `context` is a JSON object; `uploads` gives the path, as the file system has it, of each upload token. Of two
    that wait in the worker, the one with the lower `rank` goes first. `overlay` is what the program that submitted it
    overlays the settings with.
    """

    key: int
    id: str
    input: bytes
    context: bytes | None = None
    deadline: float | None = None
    uploads: dict[str, bytes] | None = None
    rank: float = 0.0
    overlay: bytes | None = None


class Cancel(Message, tag=2):
    """Stop a prediction: ask it, by the means its kind allows."""

    key: int


class Pause(Message, tag=3):
    """Take no further items from a prediction's generator until `Resume`."""

    key: int


class Resume(Message, tag=4):
    """Go on after `Pause`."""

    key: int


class HealthCheck(Message, tag=5):
    """Call the predictor's `healthcheck`."""

    number: int


class Shutdown(Message, tag=6):
    """Run `teardown` and exit."""


class Ping(Message, tag=7):
    """Say that you live."""

    number: int


class GiveUp(Message, tag=8):
    """A prediction did not stop in time. No more follow; the worker is ended when nothing else runs on it."""

    key: int


class Configure(Message, tag=9):
    """Take over what the program has configured: all of it, each value with the number of the change that set it.

    A value that is not newer than the one the worker knows stays without effect.
    """

    values: bytes


ToWorker = Setup | Run | Cancel | Pause | Resume | HealthCheck | Shutdown | Ping | GiveUp | Configure

# ------------------------------------------------------------------ worker to server


class Loaded(Message, tag=0):
    """The predictor was imported and its signature read; `setup` has not run.

    `batch_size` is how many predictions one call of `predict` takes at most; None if each gets a call of its own. With
    it, `slots` is how many the worker takes at a time, those included that wait there for the next batch.
    `settings_schema` is that of what requests may override, if the predictor declares settings.
    """

    input_schema: bytes
    output_schema: bytes
    is_async: bool
    streams: bool
    concatenates: bool
    uses_files: bool
    has_secrets: bool
    has_healthcheck: bool
    batch_size: int | None = None
    slots: int = 0
    settings_schema: bytes | None = None


class Ready(Message, tag=1):
    """`setup` is done."""


class SetupFailed(Message, tag=2):
    """Loading (`stage` "load") or `setup` (`stage` "setup") failed. The worker exits."""

    stage: Literal["load", "setup"]
    error_type: str
    message: str
    traceback: str = ""


class Outputs(Message, tag=3):
    """Items that a prediction yielded, each one JSON text."""

    key: int
    items: list[bytes]


class Log(Message, tag=4):
    """What a prediction wrote; key 0 stands for setup, teardown and whatever has no prediction."""

    key: int
    source: str
    text: str


class Metric(Message, tag=5):
    """A metric that a prediction recorded; the value is JSON text, and dots in a nested one lead into objects."""

    key: int
    name: str
    value: bytes
    mode: str
    is_nested: bool = False


class Completed(Message, tag=6):
    """The end of a prediction: nothing follows for its key, and its slot is free.

    `problems` is the JSON list of an `InputError`; `traceback` shows the author's frames; `has_files`
    says that it has a folder of temporary files; `batch_size` says with how many it ran, itself included.
    """

    key: int
    status: Literal["succeeded", "failed", "canceled"]
    predict_time: float
    output: bytes | None = None
    error: str | None = None
    traceback: str | None = None
    problems: bytes | None = None
    has_files: bool = False
    batch_size: int | None = None


class Health(Message, tag=7):
    """The answer to `HealthCheck`: no error means healthy."""

    number: int
    error: str | None = None


class Pong(Message, tag=8):
    """The loop's answer to `Ping`.

    `threads_seconds` says for how long a job has been waiting for a predict thread that should be free.
    """

    number: int
    threads_seconds: float = 0.0


class Configured(Message, tag=9):
    """The answer to `Configure`: it was taken, whether all of it fits or not."""


ToServer = Loaded | Ready | SetupFailed | Outputs | Log | Metric | Completed | Health | Pong | Configured

_HEAD = struct.Struct(">II")
_HEAD_SIZE = _HEAD.size
_MARK = 0xFE5E6B17
"""What each frame begins with. Should the model, or a library, write something else into the socket, that is seen at
once: taken for a length, four letters of text would announce a gigabyte. No text has the byte FE."""

_encoder = msgspec.msgpack.Encoder()

decode_to_worker: Callable[[memoryview], list[ToWorker]] = msgspec.msgpack.Decoder(list[ToWorker]).decode
"""Raises `msgspec.DecodeError`."""

decode_to_server: Callable[[memoryview], list[ToServer]] = msgspec.msgpack.Decoder(list[ToServer]).decode
"""Raises `msgspec.DecodeError`."""


def encode_frame(messages: Sequence[Message]) -> bytearray:
    """Encode messages as one frame, in one buffer, mark and length included."""
    frame = bytearray(_HEAD_SIZE)
    _encoder.encode_into(messages, frame, _HEAD_SIZE)
    _HEAD.pack_into(frame, 0, _MARK, len(frame) - _HEAD_SIZE)
    return frame


def substitute(message: Message, error: Exception) -> Message | None:
    """Return what to send in place of a message that cannot be encoded: its prediction must end all the same."""
    if isinstance(message, Completed):
        reason = f"its end could not be told: {type(error).__name__}"
        return Completed(message.key, "failed", message.predict_time, error=reason, has_files=message.has_files)
    if isinstance(message, SetupFailed):
        return SetupFailed(message.stage, message.error_type, f"the reason could not be told: {type(error).__name__}")
    return None


class FrameReader:
    """Cuts a byte stream into frames, receiving into its own buffer.

    Small frames are read many at a time; a frame that is larger than the buffer gets one of its
    own size, so that a megabyte is neither joined nor grown piece by piece.

    Args:
        on_frame: Called with a view of each frame; the view is valid during the call only.
    """

    _SIZE = 1 << 16

    def __init__(self, on_frame: Callable[[memoryview], None]) -> None:
        self._on_frame = on_frame
        self._small = memoryview(bytearray(self._SIZE))
        self._buffer = self._small
        self._filled = 0

    def get_buffer(self) -> memoryview:
        """Return where the next bytes go; never empty."""
        return self._buffer[self._filled :]

    def advance(self, count: int) -> None:
        """Take note of `count` new bytes and hand on the frames that are whole now.

        Raises:
            FrameError: What came is no frame, or one that claims to be larger than any can be.
        """
        view = self._buffer
        end = self._filled + count
        start = 0
        while end - start >= _HEAD_SIZE:
            mark, length = _HEAD.unpack_from(view, start)
            if mark != _MARK:
                message = f"no frame begins with {bytes(view[start : min(end, start + 40)])!r}"
                raise FrameError(message)
            if length > MAX_FRAME_BYTES:
                message = f"a frame of {length} bytes was announced; at most {MAX_FRAME_BYTES} are possible"
                raise FrameError(message)
            stop = start + _HEAD_SIZE + length
            if stop > end:
                if start == 0 and stop <= len(view):
                    self._filled = end  # it has its place already; to move it at every read would be quadratic
                else:
                    self._make_room(view[start:end], _HEAD_SIZE + length)
                return
            self._on_frame(view[start + _HEAD_SIZE : stop])
            start = stop
        self._make_room(view[start:end], self._SIZE)

    def _make_room(self, rest: memoryview, needed: int) -> None:
        count = len(rest)
        target = self._small if needed <= self._SIZE else memoryview(bytearray(needed))
        # A slice assignment between overlapping views of one buffer copies as if by memmove.
        target[:count] = rest
        self._buffer = target
        self._filled = count
