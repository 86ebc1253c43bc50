"""What pydantic found wrong with a value, in the words of `servekit.problems`."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pydantic
from pydantic_core import ErrorDetails, from_json

from servekit.problems import (
    MAX_PROBLEMS,
    JsonValue,
    Kind,
    Problem,
    Redactor,
    invalid_json,
    missing,
    problem,
    show,
    show_limit,
    too_deep,
    unknown,
)

__all__ = ["expectation", "explain_input"]

_NOUNS: Final = {
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float"), "an integer"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("string_type", "string_sub_type", "string_unicode"), "a string"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "a boolean"),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type"), "a list"),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type"), "an object"),
    **dict.fromkeys(("dataclass_type", "dataclass_exact_type"), "an object"),
    **dict.fromkeys(("bytes_type", "bytes_invalid_encoding"), "base64 text"),
    "none_required": "null",
    "finite_number": "a finite number",
}

_LIMITS: Final[dict[str, tuple[Kind, str]]] = {
    "greater_than_equal": ("range", "at least {ge}"),
    "less_than_equal": ("range", "at most {le}"),
    "greater_than": ("range", "more than {gt}"),
    "less_than": ("range", "less than {lt}"),
    "multiple_of": ("range", "a multiple of {multiple_of}"),
    "string_too_short": ("length", "at least {min_length} characters"),
    "string_too_long": ("length", "at most {max_length} characters"),
    "too_short": ("length", "at least {min_length} items"),
    "too_long": ("length", "at most {max_length} items"),
    "string_pattern_mismatch": ("pattern", "text that matches {pattern}"),
    "literal_error": ("choice", "{expected}"),
    "enum": ("choice", "{expected}"),
}


def explain_input(
    error: pydantic.ValidationError, raw: bytes, names: Sequence[str], redactor: Redactor
) -> list[Problem]:
    """Return the problems of an input.

    Args:
        error: What pydantic found.
        raw: The input, as JSON.
        names: The names of the inputs that there are.
        redactor: Hides the input's secrets: every value shown is taken from what it returns.
    """
    details = error.errors(include_url=False, include_input=False)
    if details[0]["type"] == "json_invalid":
        reason = str(details[0].get("ctx", {}).get("error", "cannot be read"))
        return (too_deep() if reason.startswith("recursion limit") else invalid_json(reason)).problems
    document = redactor.redact(from_json(raw))
    return list(_merge(_explain_one(each, document, names) for each in details[:MAX_PROBLEMS]))


def expectation(details: ErrorDetails) -> tuple[Kind, str | None]:
    """Return what kind of problem an error of pydantic is, and what was expected if it can be put as a noun."""
    name, context = details["type"], details.get("ctx", {})
    if name in _NOUNS:
        return "type", _NOUNS[name]
    if name in _LIMITS:
        kind, text = _LIMITS[name]
        return kind, text.format_map({name: show_limit(limit) for name, limit in context.items()})
    kind = "type" if name.endswith(("_type", "is_instance_of", "value_type")) else "value"
    if found := re.match(r"Input should be (?:a valid (?=\w))?(.+)", details["msg"]):
        return kind, found[1]
    return kind, None


def _explain_one(details: ErrorDetails, document: JsonValue, names: Sequence[str]) -> Problem:
    loc, value = _find(document, details["loc"])
    if details["type"] == "missing":
        return missing([*loc, details["loc"][-1]])
    if details["type"] == "extra_forbidden":
        return unknown(loc, names if len(loc) == 1 else (), value)
    if details["type"] == "file":
        return problem(loc, "file", details["msg"], value)
    kind, what = expectation(details)
    if what is None:
        return problem(loc, kind, details["msg"].removeprefix("Value error, "), value)
    remedy = "; for files use servekit.Path" if what == "base64 text" else ""
    return problem(loc, kind, f"expected {what}, got {show(value)}{remedy}", value)


def _find(document: JsonValue, path: Sequence[int | str]) -> tuple[list[int | str], JsonValue]:
    """Follow pydantic's path through a document; its names for the members of unions are left out."""
    loc: list[int | str] = []
    node: JsonValue = document
    for part in path:
        found = _step(node, part)
        if found is not _NOWHERE:
            loc.append(part)
            node = found
    return loc, node


_NOWHERE: Final[Any] = object()


def _step(node: JsonValue, part: int | str) -> Any:
    if isinstance(node, dict) and isinstance(part, str):
        return node.get(part, _NOWHERE)
    if isinstance(node, list) and isinstance(part, int) and part < len(node):
        return node[part]
    return _NOWHERE


def _merge(problems: Iterator[Problem]) -> Iterator[Problem]:
    """Make one problem of those that the members of a union each have with the same value."""
    waiting: dict[tuple[Any, ...], Problem] = {}
    for each in problems:
        key = (*each["loc"], each["type"])
        first = waiting.get(key)
        if first is None or each["type"] != "type":
            waiting[key if first is None else (*key, each["msg"])] = each
            continue
        wanted, _, got = first["msg"].partition(", got ")
        noun = each["msg"].partition(", got ")[0].removeprefix("expected ")
        if noun not in wanted:
            first["msg"] = f"{wanted} or {noun}, got {got}"
    yield from waiting.values()
