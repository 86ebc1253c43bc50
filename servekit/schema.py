"""Check an input against a predictor's JSON Schema, without the predictor.

The server and the command line use it to answer a bad input at once, before anything is started and
without taking a slot. What a schema cannot express is checked in the worker, by the types themselves
(`servekit.signature`); both say what is wrong in the same form.
"""

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
        if not self._is_valid(document):
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
        explainer = _Explainer(self._schema, self._redactor.redact(document))
        found: dict[tuple[Any, ...], Problem] = {}
        try:
            for each in explainer.explain(self._validator.iter_errors(document)):
                # One missing name is found once for each of its siblings, and unions find the same from several sides.
                found.setdefault((*each["loc"], each["msg"]), each)
                if len(found) == MAX_PROBLEMS:
                    break
        except ValueError:  # how jsonschema-rs says that a value is nested deeper than it looks
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

    Args:
        schema: The schema that found them.
        document: The document with its secrets hidden: whatever is shown is taken from it.
    """

    def __init__(self, schema: dict[str, Any], document: Any) -> None:
        self._schema = schema
        self._document = document

    def explain(self, errors: Iterable[jsonschema_rs.ValidationError]) -> Iterator[Problem]:
        for error in errors:
            yield from self._explain_one(error)

    def _explain_one(self, error: jsonschema_rs.ValidationError) -> Iterator[Problem]:
        loc = error.instance_path
        *path, keyword = error.schema_path
        node = self._at(self._schema, path)
        value = self._at(self._document, loc)
        match keyword:
            case "type" if "enum" in node or "const" in node:
                pass  # the other keyword says more
            case "type":
                yield expected(loc, "type", self._describe(node), value)
            case "enum" | "const":
                yield expected(loc, "choice", self._describe(node), value)
            case "required":
                yield from (missing([*loc, name]) for name in node["required"] if name not in value)
            case "additionalProperties":
                known = list(node.get("properties", {}))
                yield from (unknown([*loc, name], known, value[name]) for name in value if name not in known)
            case "anyOf" | "oneOf":
                yield from self._explain_union(error, node, value)
            case "uniqueItems":
                yield problem(loc, "value", "expected items that are all different, got some twice", value)
            case str() if keyword in _LIMITS:
                kind, text = _LIMITS[keyword]
                yield expected(loc, kind, text.format(show_limit(node[keyword])), value)
            case _:
                yield problem(loc, "value", f"does not fit the schema ({keyword})", value)

    def _explain_union(self, error: jsonschema_rs.ValidationError, node: Any, value: Any) -> Iterator[Problem]:
        """Explain by the one branch that was meant, when that can be told, else name all of them."""
        branches: list[list[jsonschema_rs.ValidationError]] = list(getattr(error.kind, "context", ()))
        loc = error.instance_path
        meant = [branch for branch in branches if not any(_is_about(each, loc, ("type",), 0) for each in branch)]
        if len(meant) > 1:
            # Objects told apart by a fixed field: the branch whose fixed field fits is meant.
            meant = [each for each in meant if not any(_is_about(one, loc, ("const", "enum"), 1) for one in each)]
        if len(meant) == 1:
            yield from self.explain(meant[0])
        else:
            yield expected(loc, "type", self._describe(node), value)

    def _describe(self, node: dict[str, Any]) -> str:
        """Return what a schema takes, as a noun."""
        if "$ref" in node:
            return self._describe(self._schema["$defs"][node["$ref"].rpartition("/")[2]])
        if "const" in node:
            return repr(node["const"])
        if "enum" in node:
            return _either([repr(choice) for choice in node["enum"]])
        for keyword in ("anyOf", "oneOf"):
            if keyword in node:
                return _either(list(dict.fromkeys(self._describe(branch) for branch in node[keyword])))
        types = node.get("type", "value")
        return _either([_NOUNS.get(each, "a value") for each in ([types] if isinstance(types, str) else types)])

    @staticmethod
    def _at(start: Any, path: Iterable[str | int]) -> Any:
        node = start
        for part in path:
            if isinstance(node, str):  # hidden: everything below is
                return node
            node = node[part]
        return node


def _is_about(error: jsonschema_rs.ValidationError, loc: list[str | int], words: tuple[str, ...], below: int) -> bool:
    """Whether an error comes from one of these keywords, so many levels below a place."""
    return error.schema_path[-1] in words and len(error.instance_path) == len(loc) + below


def _either(words: list[str]) -> str:
    """Join as "a, b or c", the way pydantic writes it."""
    if len(words) > 1:
        return f"{', '.join(islice(words, len(words) - 1))} or {words[-1]}"
    return words[0] if words else "nothing"
