"""Check an input against a predictor's JSON Schema, without the predictor.

The server and the command line use it to answer a bad input at once, before anything is started and
without taking a slot. What a schema cannot express is checked in the worker, by the types themselves
(`servekit.signature`); both say what is wrong in the same form.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

import jsonschema_rs
import msgspec

from servekit.errors import InputError
from servekit.problems import (
    MAX_PROBLEMS,
    JsonValue,
    Kind,
    Problem,
    Redactor,
    expected,
    invalid_json,
    missing,
    problem,
    show_limit,
    too_deep,
    unknown,
)
from servekit.types import MASK

__all__ = ["InputChecker"]

_NOUNS: Final = {
    "integer": "an integer",
    "number": "a number",
    "string": "a string",
    "boolean": "a boolean",
    "array": "a list",
    "object": "an object",
    "null": "null",
}

_LIMITS: Final[dict[str, tuple[Kind, str]]] = {
    "minimum": ("range", "at least {}"),
    "maximum": ("range", "at most {}"),
    "exclusiveMinimum": ("range", "more than {}"),
    "exclusiveMaximum": ("range", "less than {}"),
    "multipleOf": ("range", "a multiple of {}"),
    "minLength": ("length", "at least {} characters"),
    "maxLength": ("length", "at most {} characters"),
    "minItems": ("length", "at least {} items"),
    "maxItems": ("length", "at most {} items"),
    "minProperties": ("length", "at least {} items"),
    "maxProperties": ("length", "at most {} items"),
    "pattern": ("pattern", "text that matches {}"),
}


class InputChecker:
    """Checks inputs against one JSON Schema, compiled once.

    Args:
        input_schema: The `input_schema` of a `Signature`.
    """

    def __init__(self, input_schema: dict[str, Any]) -> None:
        self._schema = input_schema
        self._validator = _compile(input_schema)
        self._is_valid = self._validator.is_valid
        self._parse = msgspec.json.Decoder().decode
        self._redactor = Redactor(input_schema)

    def check(self, raw: bytes | memoryview) -> None:
        """Check an input.

        Args:
            raw: The input as JSON.

        Raises:
            InputError: The input does not fit; it names every problem, up to 50.
        """
        document = self._decode(raw)
        try:
            is_valid = self._is_valid(document)
        except ValueError:  # how jsonschema-rs says that a value is nested deeper than it looks
            raise too_deep() from None
        if not is_valid:
            raise InputError(self._explain(document))

    def redact(self, raw: bytes) -> bytes:
        """Return an input with asterisks in place of its secrets.

        Raises:
            InputError: The input is not JSON.
        """
        if not self._redactor.has_secrets:
            return raw
        return msgspec.json.encode(self._redactor.redact(self._decode(raw)))

    def _decode(self, raw: bytes | memoryview) -> Any:
        try:
            return self._parse(raw)
        except RecursionError:
            raise too_deep() from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise invalid_json(str(error)) from error

    def _explain(self, document: Any) -> list[Problem]:
        explainer = _Explainer(self._schema, self._redactor, document)
        found: dict[tuple[Any, ...], Problem] = {}
        try:
            for each in explainer.explain(self._validator.iter_errors(document)):
                # One missing name is found once for each of its siblings, and unions find the same from several sides.
                found.setdefault((*each["loc"], each["msg"]), each)
                if len(found) == MAX_PROBLEMS:
                    break
        except ValueError:  # as in `check`
            raise too_deep() from None
        return list(found.values())


def _compile(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """Compile a schema, without the patterns that only Python understands; those are checked in the worker."""
    try:
        return jsonschema_rs.Draft202012Validator(schema)
    except ValueError:
        return jsonschema_rs.Draft202012Validator(_without_foreign_patterns(schema))


def _without_foreign_patterns(schema: JsonValue) -> Any:
    if isinstance(schema, list):
        return [_without_foreign_patterns(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_foreign_patterns(part)
        for key, part in schema.items()
        if not (key == "pattern" and isinstance(part, str) and not _compiles(part))
    }


def _compiles(pattern: str) -> bool:
    try:
        jsonschema_rs.Draft202012Validator({"pattern": pattern})
    except ValueError:
        return False
    return True


class _Explainer:
    """Puts the validator's errors about one document into our words.

    The way to a value, as an error gives it, is no address: a key such as "0" or "+1" stands in it as a
    number, and an empty key not at all. So nothing here relies on finding what it names.

    Args:
        schema: The schema that found them.
        redactor: Hides the secrets of the document.
        document: The document itself.
    """

    def __init__(self, schema: dict[str, Any], redactor: Redactor, document: Any) -> None:
        self._schema = schema
        self._has_secrets = redactor.has_secrets
        self._shown = redactor.redact(document)

    def explain(self, errors: Iterable[jsonschema_rs.ValidationError]) -> Iterator[Problem]:
        for error in errors:
            yield from self._explain_one(error)

    def _explain_one(self, error: jsonschema_rs.ValidationError) -> Iterator[Problem]:
        loc, value = self._find(error)
        *path, keyword = error.schema_path
        node = self._node(path)
        match keyword:
            case "type" if "enum" in node or "const" in node:
                pass  # the other keyword says more
            case "type":
                yield expected(loc, "type", self._describe(node), value)
            case "enum" | "const":
                yield expected(loc, "choice", self._describe(node), value)
            case "required":
                given: Any = error.instance
                yield from (missing([*loc, name]) for name in node.get(keyword, ()) if name not in given)
            case "additionalProperties":
                yield from _explain_unknown(loc, list(node.get("properties", {})), error.instance, value)
            case "anyOf" | "oneOf":
                yield from self._explain_union(error, loc, node, value)
            case "uniqueItems":
                yield problem(loc, "value", "expected items that are all different, got some twice", value)
            case str() if keyword in _LIMITS and keyword in node:
                kind, text = _LIMITS[keyword]
                yield expected(loc, kind, text.format(show_limit(node[keyword])), value)
            case _:
                yield problem(loc, "value", f"does not fit the schema ({keyword})", value)

    def _find(self, error: jsonschema_rs.ValidationError) -> tuple[list[str | int], Any]:
        """Return where an error is and the value there as it may be shown."""
        loc: list[str | int] = []
        shown: Any = self._shown
        for part in error.instance_path:
            key, shown = _step(shown, part) or (part, MASK)
            loc.append(key)
        return loc, shown if self._has_secrets else error.instance

    def _explain_union(
        self, error: jsonschema_rs.ValidationError, loc: list[str | int], node: Any, value: Any
    ) -> Iterator[Problem]:
        """Explain by the one branch that was meant, when that can be told, else name all of them."""
        branches: list[list[jsonschema_rs.ValidationError]] = list(getattr(error.kind, "context", ()))
        depth = len(error.instance_path)
        meant = [branch for branch in branches if not any(_is_about(each, depth, ("type",)) for each in branch)]
        if len(meant) > 1:
            # Objects told apart by a fixed field: the branch whose fixed field fits is meant.
            meant = [each for each in meant if not any(_is_about(one, depth + 1, ("const", "enum")) for one in each)]
        if len(meant) == 1:
            yield from self.explain(meant[0])
        else:
            yield expected(loc, "type", self._describe(node), value)

    def _describe(self, node: dict[str, Any]) -> str:
        """Return what a schema takes, as a noun."""
        if "$ref" in node:
            return self._describe(self._definition(node["$ref"]))
        if "const" in node:
            return repr(node["const"])
        if "enum" in node:
            return _either([repr(choice) for choice in node["enum"]])
        for keyword in ("anyOf", "oneOf"):
            if keyword in node:
                return _either(list(dict.fromkeys(self._describe(branch) for branch in node[keyword])))
        types = node.get("type", "value")
        return _either([_NOUNS.get(each, "a value") for each in ([types] if isinstance(types, str) else types)])

    def _node(self, path: Iterable[str | int]) -> dict[str, Any]:
        """Follow the way that an error took through the schema, which some versions write with its references."""
        node: JsonValue = self._schema
        for part in path:
            _, child = _step(node, part) or (part, {})
            node = self._definition(child) if part == "$ref" and isinstance(child, str) else child
        # `false`, for the items that a tuple does not have.
        return node if isinstance(node, dict) else {}

    def _definition(self, reference: str) -> Any:
        return self._schema["$defs"][reference.rpartition("/")[2]]


def _step(node: JsonValue, part: str | int) -> tuple[str | int, Any] | None:
    """Return the key or index that a part of an error's path stands for, with what is there."""
    if isinstance(node, list):
        return (part, node[part]) if isinstance(part, int) and part < len(node) else None
    if not isinstance(node, dict):
        return None
    if str(part) in node:
        return str(part), node[str(part)]
    written = re.compile(rf"\+?0*{part}") if isinstance(part, int) else None
    return next(((key, item) for key, item in node.items() if written is not None and written.fullmatch(key)), None)


def _explain_unknown(loc: list[str | int], known: list[str], given: Any, shown: JsonValue) -> Iterator[Problem]:
    values = shown if isinstance(shown, dict) else {}
    yield from (unknown([*loc, name], known, values.get(name, MASK)) for name in given if name not in known)


def _is_about(error: jsonschema_rs.ValidationError, depth: int, words: tuple[str, ...]) -> bool:
    """Whether an error comes from one of these keywords, so deep in the document."""
    return error.schema_path[-1] in words and len(error.instance_path) == depth


def _either(words: list[str]) -> str:
    """Join as "a, b or c", the way pydantic writes it."""
    if len(words) > 1:
        return f"{', '.join(islice(words, len(words) - 1))} or {words[-1]}"
    return words[0] if words else "nothing"
