"""Keys of a request's body that the envelope does not have, and what to do instead.

They are refused: a forgotten "input" would otherwise run the predictor on its defaults and look like a success.
"""

import difflib
from collections.abc import Collection, Iterable
from itertools import islice
from typing import Any

import msgspec

from servekit.problems import MAX_PROBLEMS
from servekit.server.problems import Refusal

__all__ = ["find_unknown_keys", "refuse_unknown_keys"]

_KNOWN = ("input", "id", "context", "priority", "timeout", "queue_timeout", "webhook", "webhook_events_filter")
_LISTED = ", ".join(f'"{key}"' for key in _KNOWN[:-1]) + f' and "{_KNOWN[-1]}"'
_MAX_SHOWN = 100

_decode_keys = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def find_unknown_keys(body: bytes, known: Collection[str]) -> list[str]:
    """Return the keys of a JSON object that are not known, the first ones only; none for what is no object.

    Raises:
        msgspec.DecodeError: It is not JSON.
    """
    try:
        keys = _decode_keys(body)
    except msgspec.ValidationError:
        return []
    return list(islice((key for key in keys if key not in known), MAX_PROBLEMS))


def refuse_unknown_keys(keys: Iterable[str], input_names: Collection[str]) -> Refusal:
    """Return the answer to unknown keys, each with what was probably meant.

    Args:
        keys: The unknown ones.
        input_names: What the predictor's inputs are called, as far as it is known yet.
    """
    return Refusal(422, [_describe(key[:_MAX_SHOWN], input_names) for key in keys])


def _describe(key: str, input_names: Collection[str]) -> dict[str, Any]:
    return {"loc": ["body", key], "msg": _advise(key, input_names), "type": "unknown"}


def _advise(key: str, input_names: Collection[str]) -> str:
    if key in input_names:
        return f'this is an input of the predictor: put it below "input", as in {{"input": {{"{key}": ...}}}}'
    for near in difflib.get_close_matches(key, [*_KNOWN, *input_names], n=1):
        if near in _KNOWN:
            return f'unknown key; did you mean "{near}"?'
        return f'unknown key; did you mean the input "{near}"? Put it below "input"'
    return f'unknown key; known are {_LISTED}, and the values for the predictor go below "input"'
