"""From a row of the input to what a predictor takes, by the schema of its input."""

import json
import secrets
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import Any

import msgspec

from servekit.errors import InputError, UsageError
from servekit.jobs import FailureKind
from servekit.problems import Redactor, expected, schema_has
from servekit.schema import InputChecker
from servekit_cli.batching.records import Record
from servekit_cli.inputs import find_file, is_url, parse_text
from servekit_cli.schemas import Schema, accepted_kinds, is_file, item_schema, resolve

__all__ = ["FittedRow", "RowFitter", "find_file_input"]

_FILES = frozenset({"uri"})
_SHOWN_TEXT = 1000


class FittedRow(msgspec.Struct, frozen=True):
    """A row that a predictor can be given.

    Attributes:
        raw: The input as JSON.
        shown: The same as results show it: without secrets, and with the paths of files.
        uploads: The local file of each upload token in `raw`.
        fault: Why it cannot be run; None if it can.
        fault_kind: Whether it could not be read, or does not fit.
    """

    raw: bytes
    shown: bytes
    uploads: Mapping[str, str]
    fault: str | None = None
    fault_kind: FailureKind = FailureKind.ROW


class RowFitter:
    """Reads rows by one schema.

    Args:
        schema: The JSON Schema of the input; an empty one takes everything as it is.
        fixed: Values of inputs for all rows that have none of their own.
        renamed: The column, or the member, that an input is taken from, where their names differ.
        ignores_unknown: Whether what is no input is left out of what the predictor gets.

    Raises:
        UsageError: `fixed` or `renamed` name what is no input, so that no row would fit.
    """

    def __init__(
        self,
        schema: Schema,
        *,
        fixed: Mapping[str, Any] | None = None,
        renamed: Mapping[str, str] | None = None,
        ignores_unknown: bool = False,
    ) -> None:
        self._schema = schema
        self._properties: Mapping[str, Any] = schema.get("properties", {})
        self._required: Collection[str] = schema.get("required", ())
        self._fixed = dict(fixed or {})
        self._renamed = {column: name for name, column in (renamed or {}).items()}
        self._refuse_unknown("-i", self._fixed)
        self._refuse_unknown("--map", self._renamed.values())
        self._ignores_unknown = ignores_unknown
        self._has_files = schema_has(dict(schema), _FILES)
        # A server may have to take whatever a client adds; a name that is typed wrong here is a mistake.
        self._checker = InputChecker({**schema, "additionalProperties": False} if self._properties else dict(schema))
        self._redactor = Redactor(dict(schema))
        self._kinds = cache(self._find_kinds)

    def fit(self, record: Record) -> FittedRow:
        """Read a row, and check it. One that does not fit has its fault in it."""
        if record.fault is not None:
            return self._refuse(record, record.fault, FailureKind.ROW)
        try:
            return self._fit(record)
        except InputError as error:
            is_json = any(problem["type"] != "json" for problem in error.problems)
            return self._refuse(record, str(error), FailureKind.INPUT if is_json else FailureKind.ROW)
        except UsageError as error:
            return self._refuse(record, str(error), FailureKind.ROW)

    def _refuse_unknown(self, flag: str, names: Iterable[str]) -> None:
        unknown = [name for name in names if self._properties and name not in self._properties]
        if unknown:
            known = ", ".join(self._properties)
            raise UsageError(f'{flag} names "{unknown[0]}", which is no input; the inputs are {known}.')

    def _fit(self, record: Record) -> FittedRow:
        if record.texts is None and not self._changes_values(record):
            self._checker.check(record.content)
            return FittedRow(record.content, self._checker.redact(record.content), {})
        values = self._read_values(record)
        if not self._has_files:
            raw = msgspec.json.encode(values)
            self._checker.check(raw)
            return FittedRow(raw, self._checker.redact(raw), {})
        uploads: dict[str, str] = {}
        sent = {name: self._send_files(name, value, uploads) for name, value in values.items()}
        raw = msgspec.json.encode(sent)
        self._checker.check(raw)
        return FittedRow(raw, msgspec.json.encode(self._redactor.redact(values)), uploads)

    def _changes_values(self, record: Record) -> bool:
        return bool(self._fixed or self._renamed or self._ignores_unknown or record.has_gaps or self._has_files)

    def _read_values(self, record: Record) -> dict[str, Any]:
        if record.texts is None:
            own = _decode_object(record.content)
        else:
            own = self._rename(record.texts)
            own = {name: self._read_cell(name, text) for name, text in own.items() if not self._is_gap(name, text)}
            return self._complete(own)
        own = self._rename(own)
        if record.has_gaps:
            own = {name: value for name, value in own.items() if value is not None or self._takes_null(name)}
        return self._complete(own)

    def _rename(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """Take inputs from their columns; another column with the name of such an input is not it."""
        renamed, inputs = self._renamed, self._renamed.values()
        return {renamed.get(name, name): own[name] for name in own if name in renamed or name not in inputs}

    def _complete(self, own: dict[str, Any]) -> dict[str, Any]:
        if self._ignores_unknown and self._properties:
            own = {name: value for name, value in own.items() if name in self._properties}
        return {**self._fixed, **own}

    def _is_gap(self, name: str, text: str) -> bool:
        """Whether a cell holds no value: it is empty, and that would be none of its kind."""
        kinds = self._kinds(name)
        return not text and bool(kinds) and "string" not in kinds and "any" not in kinds

    def _takes_null(self, name: str) -> bool:
        return not self._kinds(name).isdisjoint({"null", "any"}) and name in self._required

    def _read_cell(self, name: str, text: str) -> Any:
        """Read the text of a cell as `-i` reads that of an input; a text may not name a file to be read."""
        kinds = self._kinds(name)
        if not kinds or kinds <= {"string", "file", "null"}:
            return text
        return parse_text(text, default=text)

    def _find_kinds(self, name: str) -> frozenset[str]:
        """Name the JSON types that an input takes; none if there is no such input."""
        if name not in self._properties:
            return frozenset()
        return accepted_kinds(resolve(self._properties[name], self._schema), self._schema)

    def _send_files(self, name: str, value: Any, uploads: dict[str, str]) -> Any:
        """Put a token in place of each `@FILE` where the schema has a file."""
        schema = resolve(self._properties.get(name, {}), self._schema)
        if isinstance(value, list):
            items: list[Any] = value  # pyright: ignore[reportUnknownVariableType] # JSON
            return [self._send_file(name, each, item_schema(schema, self._schema), uploads) for each in items]
        return self._send_file(name, value, schema, uploads)

    def _send_file(self, name: str, value: Any, schema: Schema, uploads: dict[str, str]) -> Any:
        if not isinstance(value, str) or not is_file(schema, self._schema):
            return value
        if not value.startswith("@"):
            if not is_url(value) and accepted_kinds(schema, self._schema) <= {"file", "null"}:
                raise UsageError(f'{name} is a file, and "{value}" is neither @file nor a URL; write it as "@{value}"')
            return value
        path = find_file(value[1:], name, "Correct the path in the row.")
        token = f"upload:{secrets.token_urlsafe(12)}/{path.name}"
        uploads[token] = str(path)
        return token

    def _refuse(self, record: Record, fault: str, kind: FailureKind) -> FittedRow:
        """Show what there is of a row that cannot be run, unless it may hold a secret."""
        shown = b"null"
        if not self._redactor.has_secrets:
            shown = _show(record.content)
        return FittedRow(b"null", shown, {}, fault, kind)


def find_file_input(schema: Schema, given: str | None) -> str:
    """Name the input that gets the files of a folder.

    Args:
        schema: The JSON Schema of the input.
        given: What `--input-name` says.

    Raises:
        UsageError: There is no such input, there are several, or none takes a file.
    """
    properties: Mapping[str, Any] = schema.get("properties", {})
    files = [name for name, each in properties.items() if is_file(resolve(each, schema), schema)]
    if given is not None:
        if properties and given not in properties:
            raise UsageError(f'--input-name is "{given}"; the inputs are {", ".join(properties)}.')
        if properties and given not in files:
            raise UsageError(f"--input-name is {given}, which takes no file; {' and '.join(files) or 'none'} does.")
        return given
    if len(files) == 1:
        return files[0]
    if files:
        raise UsageError(f"The inputs {' and '.join(files)} take files.\nSay which is meant: --input-name {files[0]}")
    raise UsageError(
        "The rows are the files of a folder, and the predictor has no input that takes a file.\n"
        "Name a file of rows instead, such as inputs.jsonl."
    )


def _decode_object(content: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise InputError([expected((), "type", "an object", value)])
    return value  # pyright: ignore[reportUnknownVariableType] # JSON


def _show(content: bytes) -> bytes:
    try:
        value = json.loads(content)
        return msgspec.json.encode(value)
    except (ValueError, RecursionError):
        return msgspec.json.encode(content[:_SHOWN_TEXT].decode(errors="replace"))
