"""From `-i name=value` and `--json` to the JSON that a predictor takes.

The schema decides how a text is read. What does not fit is passed on as it is: the input is checked as a
whole afterwards, by the same checker that the server uses, which says it better.
"""

import json
import re
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

from servekit.errors import UsageError
from servekit_cli.schemas import Schema, accepted_kinds, is_secret, item_schema, resolve

__all__ = ["InputRequest", "PredictionInput", "find_file", "is_url", "parse_text", "read_arguments"]

_MISSING: Final = object()
_AS_JSON: Final = {"True": "true", "False": "false", "None": "null"}
_URL: Final = re.compile(r"data:|[a-z]+://", re.IGNORECASE)
_STDIN: Final = ("-", "@-")
_CORRECT: Final = "Correct the path. A text that begins with @ is given by --json."
_QUOTED: Final = re.compile(r'"([^"]*)"', re.DOTALL)


@dataclass(frozen=True)
class PredictionInput:
    """An input, ready to be checked and run.

    Attributes:
        raw: The input object as JSON.
        uploads: The local file of each upload token in it.
    """

    raw: bytes
    uploads: Mapping[str, str]


@dataclass(frozen=True)
class InputRequest:
    """What the arguments of a command ask for, before the schema is known.

    Attributes:
        base: The object that `--json` gave.
        pairs: Name and text of each `-i`, in their order.
        stdin: The text on stdin, if one of the pairs asks for it.
        has_json: Whether `--json` was given.
        context: Free keys and values for the predictor.
    """

    base: Mapping[str, Any]
    pairs: tuple[tuple[str, str], ...]
    stdin: str | None = None
    has_json: bool = False
    context: Mapping[str, str] = field(default_factory=dict[str, str])

    def unquoted(self) -> Self:
        """Give the same without quotation marks around texts, as of those who write for other shells.

        Marks with others between them stay: those do not belong together.
        """
        pairs = tuple((name, match[1] if (match := _QUOTED.fullmatch(text)) else text) for name, text in self.pairs)
        return replace(self, pairs=pairs)

    def fit(self, schema: Mapping[str, Any]) -> PredictionInput:
        """Read the texts as the schema of the input wants them.

        Raises:
            UsageError: A file is missing, something is given twice that is no list, or JSON cannot hold it.
        """
        reader = _Reader(schema, self.stdin)
        values = {name: reader.read_member(name, value) for name, value in self.base.items()}
        for name, texts in self._texts_by_name().items():
            values[name] = reader.read(name, texts)
        return PredictionInput(_encode(values), reader.uploads)

    def _texts_by_name(self) -> dict[str, list[str]]:
        grouped: dict[str, list[str]] = {}
        for name, text in self.pairs:
            grouped.setdefault(name, []).append(text)
        return grouped


def read_arguments(
    pairs: Sequence[str], json_text: str | None, context: Mapping[str, str] | None = None
) -> InputRequest:
    """Read what `-i` and `--json` say; `-i` wins over `--json`.

    Args:
        pairs: Each `name=value`; a value may be `@file`, or `@-` for the text on stdin.
        json_text: An object as JSON, `@file`, or `@-` or `-` for stdin. A file in it is `"@file"`.
        context: Free keys and values for the predictor.

    Raises:
        UsageError: A pair has no `=`, a file is missing, the JSON is none or no object, or stdin is
            asked for twice.
    """
    split = tuple(_split_pair(pair) for pair in pairs)
    wanted = [f"-i {name}=@-" for name, text in split if text == "@-"]
    if (json_text in _STDIN and wanted) or len(wanted) > 1:
        both = " and ".join([*([f"--json {json_text}"] if json_text in _STDIN else []), *wanted])
        raise UsageError(f"{both} all want stdin, which can be read once.\nGive the others as @file.")
    base = _read_object(json_text)
    # Read now, and not when the predictor has been imported: Ctrl-C ends it, as nothing else runs yet.
    stdin = _read_stdin() if wanted else None
    return InputRequest(base, split, stdin, has_json=json_text is not None, context=context or {})


def _encode(values: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(values, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:  # Python's reader takes more than its writer may give
        raise UsageError(
            "The input holds a number that is not finite, or text with half of a surrogate pair (\\ud800 to \\udfff).\n"
            "JSON has neither; give null for a number that is missing, and whole characters."
        ) from None


def _split_pair(pair: str) -> tuple[str, str]:
    try:
        pair.encode()
    except UnicodeEncodeError:
        raise UsageError(f"-i {pair!r} is not UTF-8 text.\nSend other bytes as a file: -i name=@file.") from None
    name, equals, text = pair.partition("=")
    if not equals or not name.strip():
        raise UsageError(f'-i wants name=value, and got "{pair}".\nWrite for example -i prompt="a quiet lake".')
    return name.strip(), text


def _read_object(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    source, content = "--json", text
    if text in _STDIN:
        source, content = "stdin", _read_stdin()
    elif text.startswith("@"):
        source, content = text[1:], _read_text(text[1:], "--json")
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{source} is not JSON: {error}.\nGive the input as one JSON object.") from None
    if not isinstance(value, dict):
        raise UsageError(f'{source} holds no JSON object.\nGive the input as {{"name": value, ...}}.')
    return {str(name): member for name, member in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] # JSON


class _Reader:
    """Reads texts by one schema, and gathers the files that they name."""

    def __init__(self, schema: Mapping[str, Any], stdin: str | None) -> None:
        self.uploads: dict[str, str] = {}
        self._stdin = stdin
        self._root = schema
        self._properties: Mapping[str, Any] = schema.get("properties", {})

    def read(self, name: str, texts: Sequence[str]) -> Any:
        if name not in self._properties:
            # That there is no such input is what matters; the file that it names is not looked for.
            return texts[-1]
        schema = resolve(self._properties.get(name, {}), self._root)
        kinds = accepted_kinds(schema, self._root)
        if "array" in kinds and not (len(texts) == 1 and "string" in kinds):
            return self._read_list(name, texts, schema)
        if len(texts) > 1:
            raise UsageError(f"-i {name}=... is given {len(texts)} times, and {name} is no list.\nGive it once.")
        return self._read_one(name, texts[0], schema)

    def _read_list(self, name: str, texts: Sequence[str], schema: Mapping[str, Any]) -> Any:
        kinds = accepted_kinds(item_schema(schema, self._root), self._root)
        if len(texts) == 1:
            [text] = texts
            if text.startswith("@") and "file" not in kinds:
                text = self._read_text(name, text[1:])
            whole = parse_text(text, _MISSING)
            if isinstance(whole, list) or (whole is None and "null" in accepted_kinds(schema, self._root)):
                return whole  # pyright: ignore[reportUnknownVariableType] # JSON
        item = item_schema(schema, self._root)
        return [self._read_one(name, text, item) for text in texts]

    def _read_one(self, name: str, text: str, schema: Mapping[str, Any]) -> Any:
        kinds = accepted_kinds(schema, self._root)
        if text.startswith("@"):
            if "file" in kinds:
                return self._upload(name, text[1:], f"-i {name}")
            text = self._read_text(name, text[1:])
            if is_secret(schema, self._root):
                text = text.removesuffix("\n")  # what an editor, or echo, put there; no part of a password
        elif kinds <= {"file", "null"} and "file" in kinds and not is_url(text):
            raise UsageError(
                f'{name} is a file, and "{text}" is neither @file nor a URL.\nWrite -i {name}=@{text} to send a file.'
            )
        if kinds <= {"string", "file", "null"} and kinds & {"string", "file"}:
            return text
        return parse_text(text, text)

    def _read_text(self, name: str, path: str) -> str:
        return self._stdin if path == "-" and self._stdin is not None else _read_text(path, f"-i {name}")

    def read_member(self, name: str, value: Any) -> Any:
        """Read a member of a JSON object, in which `@file` stands for a file where nothing else fits."""
        schema = resolve(self._properties.get(name, {}), self._root)
        if isinstance(value, list):
            items: list[Any] = value  # pyright: ignore[reportUnknownVariableType] # JSON
            return [self._read_file(name, each, item_schema(schema, self._root)) for each in items]
        return self._read_file(name, value, schema)

    def _read_file(self, name: str, value: Any, schema: Schema) -> Any:
        is_only_file = accepted_kinds(schema, self._root) <= {"file", "null"}
        if isinstance(value, str) and value.startswith("@") and is_only_file:
            return self._upload(name, value[1:], "--json")
        return value

    def _upload(self, name: str, path: str, option: str) -> str:
        if path == "-":
            raise UsageError(f"{name} is a file, which cannot come from stdin.\nSave it, and write -i {name}=@FILE.")
        file = find_file(path, option)
        token = f"upload:{secrets.token_urlsafe(12)}/{file.name}"
        self.uploads[token] = str(file)
        return token


def is_url(text: str) -> bool:
    """Whether a text names a file on the network, or is one itself."""
    return _URL.match(text) is not None


def parse_text(text: str, default: Any) -> Any:
    """Read JSON; True and False, as Python writes them, are taken as well.

    Args:
        text: What may be JSON.
        default: Is returned for what is none.
    """
    try:
        return json.loads(_AS_JSON.get(text, text), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return default


def _refuse_constant(name: str) -> None:
    message = f"{name} is a number for Python, and none in JSON"
    raise ValueError(message)


def find_file(path: str, option: str, remedy: str = _CORRECT) -> Path:
    """Return the path of a file that is there.

    Args:
        path: What follows the `@`.
        option: What names it.
        remedy: What to do if it is not there.

    Raises:
        UsageError: It is not there.
    """
    _refuse_no_name(path, option)
    file = Path(path).expanduser()
    if not file.is_file():
        raise UsageError(_no_such_file(path, option, _say_what_it_is(file), remedy))
    return file.absolute()


def _say_what_it_is(file: Path) -> str:
    if file.is_dir():
        return "is a folder"
    return "is no regular file" if file.exists() else "does not exist"


def _read_text(path: str, option: str) -> str:
    _refuse_no_name(path, option)
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{option} names {path}, which is not UTF-8 text.\nSave it as UTF-8.") from None
    except FileNotFoundError:
        raise UsageError(_no_such_file(path, option, "does not exist")) from None
    except OSError as error:
        raise UsageError(_no_such_file(path, option, f"cannot be read: {error.strerror}")) from error


def _read_stdin() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError:
        raise UsageError("stdin is not UTF-8 text.\nSend text or JSON as UTF-8, and other bytes as @file.") from None


def _refuse_no_name(path: str, option: str) -> None:
    if not path:
        raise UsageError(f"{option} says @, and names no file after it.\nA text that begins with @ is given by --json.")


def _no_such_file(path: str, option: str, reason: str, remedy: str = _CORRECT) -> str:
    return f"{option} names the file {path}, which {reason}.\n{remedy}"
