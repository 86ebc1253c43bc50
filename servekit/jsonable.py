"""Write what Python and its scientific packages have as JSON.

numpy scalars and arrays, and     numbers and nested lists; none of these packages is imported
all else with `tolist`+`dtype`    for it
path, open binary file            a data URL with the file's content
bytes                             base64 text
Secret                            asterisks
set                               list
dataclass, pydantic model         object
Enum                              its value
datetime, UUID, Decimal           text
"""

import base64
import collections.abc
import dataclasses
import math
import mimetypes
import os
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Any, Final, TypeAlias, cast

import msgspec
import pydantic
from pydantic_core import PydanticSerializationError, to_jsonable_python

from servekit.errors import OutputError
from servekit.types import MASK, OpenFile, Secret

__all__ = ["encode", "encode_plain", "refuse_nan", "substitute"]


def encode(value: Any) -> bytes:
    """Return a value as compact JSON.

    Raises:
        OutputError: JSON cannot hold it; the message says what, and what to do.
        TypeError, UnicodeEncodeError, RecursionError: The same, in the words of msgspec.
    """
    encoded = encode_plain(value)
    refuse_nan(value, encoded)
    return encoded


def substitute(value: Any) -> Any:
    """Return what stands in JSON for a value that msgspec does not know.

    Raises:
        OutputError: Nothing does.
    """
    if isinstance(value, Secret):
        return MASK
    for kind, plain in _SUBCLASSED.items():
        if isinstance(value, kind):
            return plain(value)
    if isinstance(value, OpenFile):
        return _read_open_file(value.file)
    if isinstance(value, pydantic.BaseModel):
        return value.model_dump(by_alias=True)
    return _substitute_by_ability(value)


def refuse_nan(value: Any, encoded: bytes) -> None:
    """Raise `OutputError` when a number of `value` became null because JSON has no word for it.

    Args:
        value: What was encoded.
        encoded: The result. Only where it has a null is there anything to look for.
    """
    if b"null" not in encoded:
        return
    lost = next(_find_lost(value, ""), None)
    if lost is not None:
        path, number = lost
        message = (
            f"got {number}{f' at {path}' if path else ''}, and JSON has no NaN and no infinity; return None instead"
        )
        raise OutputError(message)


encode_plain: Final = msgspec.json.Encoder(enc_hook=substitute).encode
"""`encode` without the search for NaN, which becomes null."""

_SUBCLASSED: Final[dict[type, Any]] = {str: str.__str__, float: float.__float__, int: int.__int__}
"""msgspec takes a subclass of these, numpy's among them, for something foreign."""


def _substitute_by_ability(value: Any) -> Any:
    if hasattr(value, "tolist") and hasattr(value, "dtype"):
        return _encode_array(value)
    if isinstance(value, os.PathLike):
        return _read_file(cast("os.PathLike[str]", value))
    if callable(getattr(value, "read", None)):
        return _read_open_file(value)
    return _write_other(value)


def _encode_array(array: Any) -> Any:
    numbers = array.tolist()
    encoded = encode_plain(numbers)
    refuse_nan(numbers, encoded)
    # A scalar may be the key of an object, where no JSON can stand.
    return msgspec.Raw(encoded) if isinstance(numbers, list) else numbers


def _read_file(path: "os.PathLike[str]") -> msgspec.Raw:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - anything that names a file, not only pathlib's
            content = file.read()
    except OSError as error:
        message = f"the file {os.fspath(path)} cannot be read: {error.strerror}"
        raise OutputError(message) from error
    return _data_url(os.fspath(path), content)


def _read_open_file(file: Any) -> msgspec.Raw:
    try:
        if file.seekable():
            file.seek(0)  # what was just written to it lies before its position
        content = file.read()
    except (AttributeError, OSError, ValueError) as error:
        message = f"the open file {file!r} cannot be read: {error}"
        raise OutputError(message) from error
    if isinstance(content, str):
        content = content.encode()
    return _data_url(str(getattr(file, "name", "")), content)


def _data_url(name: str, content: bytes) -> msgspec.Raw:
    mime = mimetypes.guess_type(PurePath(name).name, strict=False)[0] or "application/octet-stream"
    return msgspec.Raw(b'"data:%s;base64,%s"' % (mime.encode(), base64.b64encode(content)))


def _write_other(value: Any) -> Any:
    name = _name_of(value)
    if isinstance(value, tuple | list | dict | set | bool | None):
        # They have a form in JSON, and come here only where they are a key.
        message = f"the keys of an object must be text or numbers, not {name} ({value!r}); make text of them with str()"
        raise OutputError(message)
    if isinstance(value, collections.abc.Iterator):
        # pydantic's own wrapper around an iterator says nothing to an author.
        name = "iterator" if name.startswith("pydantic_core.") else name
        message = (
            f"a {name} is no value; annotate predict with `-> Iterator[...]` to stream its items, or return a list"
        )
        raise OutputError(message)
    if name.startswith("PIL."):
        message = f"an image ({name}) cannot be written as JSON; save it to a file and return servekit.Path of it"
        raise OutputError(message)
    try:
        # Addresses, URLs, patterns and whatever else pydantic knows.
        return to_jsonable_python(value)
    except (PydanticSerializationError, ValueError) as error:
        message = f"an object of type {name} cannot be written as JSON; return text, numbers, lists, dicts or a Path"
        raise OutputError(message) from error


def _name_of(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


_Tree: TypeAlias = dict[Any, Any] | list[Any] | tuple[Any, ...] | set[Any] | frozenset[Any] | float | None


def _find_lost(value: _Tree, path: str) -> Iterator[tuple[str, float]]:
    """Find the floats that are no number, with the way to them as Python writes it."""
    if isinstance(value, float):
        if not math.isfinite(value):
            yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _find_lost(item, f"{path}[{key!r}]")
    elif isinstance(value, list | tuple | set | frozenset):
        for index, item in enumerate(value):
            yield from _find_lost(item, f"{path}[{index}]")
    else:
        for name in _field_names(value):
            yield from _find_lost(getattr(value, name, None), f"{path}.{name}")


def _field_names(value: Any) -> Iterable[str]:
    """Return the names of a dataclass's or model's fields; a scalar has none."""
    if isinstance(value, pydantic.BaseModel):
        return type(value).model_fields
    return [field.name for field in dataclasses.fields(value)] if dataclasses.is_dataclass(value) else ()
