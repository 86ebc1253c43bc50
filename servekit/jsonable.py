"""Write what Python and its scientific packages have as JSON.

numpy scalars and arrays, and     numbers and nested lists; none of these packages is imported
all else with `tolist`+`dtype`    for it
path, open binary file            a data URL with the file's content, or what its `FileWriter` gives
bytes                             base64 text
Secret                            asterisks
set                               list
dataclass, pydantic model         object
Enum                              its value
datetime, UUID, Decimal           text
"""

import collections.abc
import dataclasses
import math
import os
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

import msgspec
import pydantic
from pydantic_core import PydanticSerializationError, to_jsonable_python

from servekit.errors import OutputError
from servekit.output_files import FileWriter, refuse_file, write_data_url
from servekit.types import MASK, OpenFile, Secret

__all__ = ["INLINE", "WITHOUT_FILES", "JsonWriter", "refuse_nan"]


class JsonWriter:
    """Writes values in one way with their files. Not changed by use, so threads may share it.

    Args:
        write_file: Gives what stands for a file.
    """

    def __init__(self, write_file: FileWriter) -> None:
        self._write_file = write_file
        self.encode_plain = msgspec.json.Encoder(enc_hook=self.substitute).encode
        """`encode` without the search for NaN, which becomes null."""

    def encode(self, value: Any) -> bytes:
        """Return a value as compact JSON.

        Raises:
            OutputError: JSON cannot hold it; the message says what, and what to do.
            TypeError, UnicodeEncodeError, RecursionError: The same, in the words of msgspec.
        """
        encoded = self.encode_plain(value)
        refuse_nan(value, encoded)
        return encoded

    def substitute(self, value: Any) -> Any:
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
            return self._write_file(value.file)
        if isinstance(value, pydantic.BaseModel):
            return value.model_dump(by_alias=True)
        return self._substitute_by_ability(value)

    def _substitute_by_ability(self, value: Any) -> Any:
        if hasattr(value, "tolist") and hasattr(value, "dtype"):
            return self._encode_array(value)
        if isinstance(value, os.PathLike) or callable(getattr(value, "read", None)):
            return self._write_file(value)
        return _write_other(value)

    def _encode_array(self, array: Any) -> Any:
        numbers = array.tolist()
        encoded = self.encode_plain(numbers)
        refuse_nan(numbers, encoded)
        # A scalar may be the key of an object, where no JSON can stand.
        return msgspec.Raw(encoded) if isinstance(numbers, list) else numbers


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


_SUBCLASSED: Final[dict[type, Any]] = {str: str.__str__, float: float.__float__, int: int.__int__}
"""msgspec takes a subclass of these, numpy's among them, for something foreign."""


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


INLINE: Final = JsonWriter(write_data_url)
"""Writes files as data URLs."""

WITHOUT_FILES: Final = JsonWriter(refuse_file)
"""Never blocks: it raises `FileMetError` where there is a file."""
