"""The body of a batch request: its inputs, which stay the bytes that they are, and what holds for all of them."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from servekit.runtime.terms import Terms
from servekit.server.envelope import Envelope, check_context, refuse_json, refuse_shape
from servekit.server.keys import find_unknown_keys
from servekit.server.problems import Refusal
from servekit.server.terms import make_terms

__all__ = ["DEFAULT_PRIORITY", "BatchRequest", "parse_document", "parse_lines"]

DEFAULT_PRIORITY: Final = -1
"""A batch has time, and somebody may wait for the answer to a single request: that one goes first. By waiting an
input of a batch gains this one level in `serve.queue.ageing`, so that it has its turn as well."""


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """What a client asks for.

    Attributes:
        inputs: Each input, as JSON.
        terms: How urgent they are, and how long all of them may take.
        context: Free keys and values for the predictor, the same for all.
    """

    inputs: Sequence[bytes | msgspec.Raw]
    terms: Terms
    context: dict[str, Any] | None = None


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    inputs: list[msgspec.Raw]
    context: dict[str, Any] | None = None
    priority: int | None = None
    timeout: float | str | None = None
    queue_timeout: float | str | None = None


_KNOWN: Final = _Document.__struct_fields__
_LISTED: Final = ", ".join(f'"{key}"' for key in _KNOWN[:-1]) + f' and "{_KNOWN[-1]}"'
_MAX_SHOWN: Final = 100
_NO_WEBHOOK: Final = "a batch has no webhook: its results come in its answer; send such inputs in requests of their own"
_ADVICE: Final = {
    "id": "an input of a batch gets its id from the server; its result says which",
    "webhook": _NO_WEBHOOK,
    "webhook_events_filter": _NO_WEBHOOK,
}
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

_decode = msgspec.json.Decoder(_Document).decode


def parse_document(body: bytes, caller: bytes | None, asked_at: float, most_inputs: int) -> BatchRequest:
    """Read a body of JSON: the inputs in a list, and beside it what holds for all of them.

    Args:
        body: The whole body.
        caller: Whose request it is, if that counts.
        asked_at: When the request came, on the clock of `time.perf_counter`.
        most_inputs: How many inputs it may have.

    Raises:
        Refusal: It is not JSON (400), or not such a body (422).
    """
    try:
        document = _read(body)
    except (RecursionError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise refuse_json(error) from None
    _check_count(len(document.inputs), most_inputs)
    if document.context is not None:
        check_context(document.context)
    wanted = Envelope(priority=document.priority, timeout=document.timeout, queue_timeout=document.queue_timeout)
    terms = replace(make_terms(wanted, caller), asked_at=asked_at)
    if document.priority is None:
        terms = replace(terms, priority=DEFAULT_PRIORITY)
    return BatchRequest(document.inputs, terms, document.context)


def parse_lines(body: bytes, caller: bytes | None, asked_at: float, most_inputs: int) -> BatchRequest:
    """Read a body of JSON Lines: an input in each line that is not empty; see `parse_document`.

    A line that is no JSON is found when its turn comes, as any other fault of an input is.

    Raises:
        Refusal: It has too many lines (422).
    """
    lines = body.removeprefix(_BYTE_ORDER_MARK).split(b"\n")
    inputs = [line for line in lines if line and not line.isspace()]
    _check_count(len(inputs), most_inputs)
    return BatchRequest(inputs, Terms(priority=DEFAULT_PRIORITY, caller=caller, asked_at=asked_at))


def _read(body: bytes) -> _Document:
    try:
        return _decode(body or b"{}")
    except msgspec.ValidationError as error:
        unknown = find_unknown_keys(body, _KNOWN)
        if unknown:
            problems = [{"loc": ["body", key[:_MAX_SHOWN]], "msg": _advise(key), "type": "unknown"} for key in unknown]
            raise Refusal(422, problems) from None
        raise refuse_shape(error) from None


def _advise(key: str) -> str:
    if key in _ADVICE:
        return _ADVICE[key]
    for near in difflib.get_close_matches(key[:_MAX_SHOWN], _KNOWN, n=1):
        return f'unknown key; did you mean "{near}"?'
    return f'unknown key; known are {_LISTED}, and the predictor gets what is in "inputs": [{{...}}, {{...}}]'


def _check_count(count: int, most: int) -> None:
    if count > most:
        message = f"the request has {count} inputs, and may have {most} (serve.max_inputs); send them in several"
        raise Refusal.invalid(["body", "inputs"], message)
