"""The body of a prediction request: everything around the input, which stays the bytes that it is."""

import re
from typing import Any

import msgspec

from servekit.server.problems import Refusal

__all__ = ["Envelope", "check_id", "parse_envelope"]

_EMPTY_OBJECT = msgspec.Raw(b"{}")


class Envelope(msgspec.Struct):
    """What a client sends. Further names are ignored, as clients of Cog expect.

    Attributes:
        input: The input object, as JSON.
        id: The name that the client gives its prediction.
        context: Free keys and values that the predictor sees in its scope.
    """

    input: msgspec.Raw = _EMPTY_OBJECT
    id: str | None = None
    context: dict[str, Any] | None = None
    webhook: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    webhook_events_filter: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decode = msgspec.json.Decoder(Envelope).decode
_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_PLACE = re.compile(r" - at `\$\.?(.*)`$")


def parse_envelope(body: bytes) -> tuple[Envelope, bytes]:
    """Read the body of a request.

    Returns:
        The envelope, and its input as JSON.

    Raises:
        Refusal: It is not JSON (400), or not an envelope (422).
    """
    if not body:
        return Envelope(), b"{}"
    try:
        envelope = _decode(body)
    except msgspec.ValidationError as error:
        raise _refuse_shape(str(error)) from None
    except RecursionError:
        raise Refusal(400, "the request body is nested too deeply to be read") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(400, f"the request body is not valid JSON: {error}") from None
    if envelope.webhook is not msgspec.UNSET or envelope.webhook_events_filter is not msgspec.UNSET:
        place = "webhook" if envelope.webhook is not msgspec.UNSET else "webhook_events_filter"
        raise Refusal.invalid(["body", place], "webhooks are not supported yet; poll GET /predictions/{id} instead")
    raw_input = bytes(envelope.input)
    return envelope, b"{}" if raw_input == b"null" else raw_input


def check_id(name: str, loc: list[str | int]) -> str:
    """Return the id of a prediction if it can be one.

    Raises:
        Refusal: It cannot.
    """
    if _ID.fullmatch(name) is None:
        message = "an id has 1 to 128 characters, each a letter (A to Z, a to z), a digit or one of - _ . ~"
        raise Refusal.invalid(loc, message, name[:200])
    return name


def _refuse_shape(message: str) -> Refusal:
    found = _PLACE.search(message)
    path = found[1].split(".") if found and found[1] else []
    return Refusal.invalid(["body", *path], _PLACE.sub("", message))
