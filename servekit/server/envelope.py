"""The body of a prediction request: everything around the input, which stays the bytes that it is."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from servekit.server.keys import find_unknown_keys, refuse_unknown_keys
from servekit.server.problems import Refusal

__all__ = [
    "OWN_ENVELOPES",
    "Envelope",
    "EnvelopeRules",
    "check_context",
    "check_id",
    "parse_envelope",
    "refuse_json",
    "refuse_shape",
]


class Envelope(msgspec.Struct, forbid_unknown_fields=True):
    """What a client sends. Clients made for Cog may send more: `created_at` is ignored, `output_file_prefix` refused.

    Attributes:
        input: The input object, as JSON; unset when the body has none.
        id: The name that the client gives its prediction.
        context: Free keys and values that the predictor sees in its scope.
        priority: Which of those that wait goes first.
        timeout: How long it may take, waiting included.
        queue_timeout: How long it may wait for a slot.
        webhook: The URL that is told what happens to it.
        webhook_events_filter: Of what it is told.
    """

    input: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    id: str | None = None
    context: dict[str, Any] | None = None
    priority: int | None = None
    timeout: float | str | None = None
    queue_timeout: float | str | None = None
    webhook: str | None = None
    webhook_events_filter: list[str] | None = None
    output_file_prefix: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    created_at: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET

    @property
    def has_input(self) -> bool:
        """Whether the body has an `input`, even an empty one."""
        return self.input is not msgspec.UNSET


@dataclass(frozen=True, slots=True)
class EnvelopeRules:
    """How the bodies of requests are read.

    Attributes:
        decode: Reads the JSON text of one.
        is_strict: Keys that nobody knows, or that ask for what cannot be done, are refused; else they are ignored.
    """

    decode: Callable[[bytes], Envelope]
    is_strict: bool


OWN_ENVELOPES: Final = EnvelopeRules(msgspec.json.Decoder(Envelope).decode, is_strict=True)

_KEYS = frozenset(Envelope.__struct_fields__)
_NO_PREFIX = "storing output files elsewhere is not supported yet; they come inside the answer"
_ID = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._~:=+@,-]{1,128}")
"""What may stand in a URL's path as it is and needs no escape in JSON or a header; base64 and URNs are among it.
Clients take `.` and `..` out of a path, so these can be no ids."""
_PLACE = re.compile(r" - at `\$(.*)`$")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")

_SPARE_LEVELS = 32
"""How much deeper than a context its message to the worker is, at most: whatever encodes it has a limit."""


def parse_envelope(
    body: bytes, name_inputs: Callable[[], Collection[str]] = tuple, rules: EnvelopeRules = OWN_ENVELOPES
) -> tuple[Envelope, bytes]:
    """Read the body of a request.

    Args:
        body: The whole body; an empty one is an empty envelope.
        name_inputs: Tells what the predictor's inputs are called, for hints; called for a wrong body only.
        rules: How it is read.

    Returns:
        The envelope, and its input as JSON.

    Raises:
        Refusal: It is not JSON (400), or not an envelope (422).
    """
    if not body:
        return Envelope(), b"{}"
    try:
        envelope = _read(body, name_inputs, rules)
    except (RecursionError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise refuse_json(error) from None
    if rules.is_strict:
        _check_supported(envelope)
    if envelope.context is not None:
        check_context(envelope.context)
    if envelope.input is msgspec.UNSET:
        return envelope, b"{}"
    raw_input = bytes(envelope.input)
    return envelope, b"{}" if raw_input == b"null" else raw_input


def refuse_json(error: RecursionError | msgspec.DecodeError | UnicodeDecodeError) -> Refusal:
    """Return the answer to a body that could not be read as JSON, by how reading it failed."""
    if isinstance(error, RecursionError):
        return Refusal(400, "the request body is nested too deeply to be read")
    return Refusal(400, f"the request body is not valid JSON: {error}")


def refuse_shape(error: msgspec.ValidationError) -> Refusal:
    """Return the answer to a body that is JSON, and whose parts are not of their kinds."""
    message = str(error)
    found = _PLACE.search(message)
    path = _parse_place(found[1]) if found else []
    return Refusal.invalid(["body", *path], _PLACE.sub("", message))


def check_context(context: dict[str, Any]) -> None:
    """Refuse what JSON can say and the message to the worker cannot.

    Raises:
        Refusal: A number is too large, or it is nested too deeply.
    """
    message: Any = context
    for _ in range(_SPARE_LEVELS):
        message = [message]
    try:
        if _has_large_number(message):
            key = next(key for key, value in context.items() if _has_large_number(value))
            hint = "expected whole numbers of 64 bits at most; send larger ones as text"
            raise Refusal.invalid(["body", "context", key], hint)
    except RecursionError:
        raise Refusal.invalid(["body", "context"], "the context is nested too deeply") from None


def check_id(name: str, loc: list[str | int]) -> str:
    """Return the id of a prediction if it can be one.

    Raises:
        Refusal: It cannot.
    """
    if _ID.fullmatch(name) is None:
        characters = "each a letter (A to Z, a to z), a digit or one of - _ . ~ : = + @ ,"
        message = f"an id has 1 to 128 characters, {characters} and is neither . nor .."
        raise Refusal.invalid(loc, message, name[:200])
    return name


def _read(body: bytes, name_inputs: Callable[[], Collection[str]], rules: EnvelopeRules) -> Envelope:
    try:
        return rules.decode(body)
    except msgspec.ValidationError as error:
        unknown = find_unknown_keys(body, _KEYS) if rules.is_strict else []
        raise (refuse_unknown_keys(unknown, name_inputs()) if unknown else refuse_shape(error)) from None


def _check_supported(envelope: Envelope) -> None:
    """Refuse what Cog can do and this server cannot, instead of leaving it undone in silence.

    Raises:
        Refusal: It asks for such a thing.
    """
    if _is_given(envelope.output_file_prefix):
        raise Refusal.invalid(["body", "output_file_prefix"], _NO_PREFIX)


def _is_given(value: msgspec.Raw | msgspec.UnsetType) -> bool:
    # Clients that are made from a schema send null for what was left out.
    return value is not msgspec.UNSET and bytes(value) != b"null"


def _parse_place(place: str) -> list[str | int]:
    """Turn a path like `.context[...][2]` into its steps, up to the first key that it leaves open."""
    steps: list[str | int] = []
    end = 0
    while (found := _STEP.match(place, end)) is not None:
        steps.append(found[1] if found[2] is None else int(found[2]))
        end = found.end()
    return steps


def _has_large_number(value: Any) -> bool:
    try:
        msgspec.msgpack.encode(value)
    except OverflowError:
        return True
    return False
