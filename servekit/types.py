"""The types that an author annotates with, beyond those that Python and pydantic have.

    Path      a file: a local path for `predict`, a URL or an upload for the client
    File      the same, opened for reading
    Secret    text that is never shown
    ConcatenateIterator, AsyncConcatenateIterator
              a stream of text whose chunks belong together
    Batch     one value for each prediction that a call of `predict` works on

Where a file comes from is not known here. Whoever validates an input gives a `FileResolver` in
pydantic's validation context, under the key "files". pydantic itself is imported only when it asks
for a schema, so that `import servekit` stays light.
"""

import io
import os
import pathlib
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar

from servekit.errors import FileFetchError

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import core_schema

__all__ = [
    "END",
    "MASK",
    "AsyncConcatenateIterator",
    "Batch",
    "ConcatenateIterator",
    "File",
    "FileResolver",
    "OpenFile",
    "Path",
    "Secret",
]

MASK: Final = "**********"
"""What stands where a secret is not shown."""


class FileResolver(Protocol):
    """Makes a local file of what a client sent for one."""

    def resolve(self, value: str) -> pathlib.Path:
        """Return the local file for a URL or an upload; raises `FileFetchError`."""
        ...


if TYPE_CHECKING:
    _LocalPath: TypeAlias = pathlib.Path
else:
    # Python 3.11 cannot subclass pathlib.Path itself, only the flavour of the running system.
    _LocalPath = type(pathlib.Path())


class Path(_LocalPath):
    """A file.

    As an input, the client sends a data URL, an http(s) URL or an upload, and `predict` gets the path
    of a local copy, which is removed with the prediction. As an output, return the path of a file
    that `predict` wrote; the client gets its content.
    """

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: "GetCoreSchemaHandler") -> "core_schema.CoreSchema":
        """Validate by `_validate`, for pydantic."""
        from pydantic_core import core_schema  # noqa: PLC0415 - see the module's docstring

        return core_schema.with_info_plain_validator_function(cls._validate)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: "core_schema.CoreSchema", handler: "GetJsonSchemaHandler"
    ) -> dict[str, Any]:
        """Describe as a URI, for pydantic."""
        return {"type": "string", "format": "uri"}

    @classmethod
    def _validate(cls, value: Any, info: "core_schema.ValidationInfo[Any]") -> "Path":
        if isinstance(value, pathlib.PurePath):
            return cls(value)
        return cls(_resolve(value, info, "a Path to a file"))


class File(io.BufferedReader):
    """A file, opened for reading bytes; `name` is its local path.

    The client sends what it sends for a `Path`. As an output, any open binary file will do; the
    client gets its content from the beginning.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(io.FileIO(path))

    def __del__(self) -> None:
        # The prediction that got this file is over; closing is not a thing its author has to think of.
        self.close()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: "GetCoreSchemaHandler") -> "core_schema.CoreSchema":
        """Validate by `_validate`, for pydantic."""
        from pydantic_core import core_schema  # noqa: PLC0415 - see the module's docstring

        # A file is an iterator of its lines, and as such pydantic would write it.
        held = core_schema.plain_serializer_function_ser_schema(OpenFile)
        return core_schema.with_info_plain_validator_function(cls._validate, serialization=held)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: "core_schema.CoreSchema", handler: "GetJsonSchemaHandler"
    ) -> dict[str, Any]:
        """Describe as a URI, for pydantic."""
        return {"type": "string", "format": "uri"}

    @classmethod
    def _validate(cls, value: Any, info: "core_schema.ValidationInfo[Any]") -> Any:
        if callable(getattr(value, "read", None)):
            return value
        return cls(_resolve(value, info, "an open binary file"))


class OpenFile:
    """An open file on its way out; unlike the file itself it cannot be taken for an iterator of lines."""

    __slots__ = ("file",)

    def __init__(self, file: Any) -> None:
        self.file = file


class Secret:
    """Text that logs, errors and outputs show as asterisks; `get_secret_value()` gives it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def get_secret_value(self) -> str:
        """Return the text itself."""
        return self._value

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"Secret('{MASK}')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: "GetCoreSchemaHandler") -> "core_schema.CoreSchema":
        """Take text or a `Secret`, and write asterisks, for pydantic."""
        from pydantic_core import core_schema  # noqa: PLC0415 - see the module's docstring

        masked = core_schema.to_string_ser_schema(when_used="json")
        return core_schema.with_info_plain_validator_function(cls._validate, serialization=masked)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: "core_schema.CoreSchema", handler: "GetJsonSchemaHandler"
    ) -> dict[str, Any]:
        """Describe as a password, for pydantic."""
        return {"type": "string", "format": "password", "writeOnly": True, "x-servekit-secret": True}

    @classmethod
    def _validate(cls, value: Any, info: "core_schema.ValidationInfo[Any]") -> "Secret":
        if isinstance(value, Secret):
            return value
        if isinstance(value, str):
            return cls(value)
        raise _wrong("a Secret" if info.mode == "python" else "a string")


T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class _End:
    """The class of `END`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "servekit.END"


END: Final[Any] = _End()
"""What a batched generator yields in the place of a prediction that has no more items."""

if TYPE_CHECKING:
    # To a type checker they are what they stand for, so that a generator function fits.
    ConcatenateIterator: TypeAlias = Iterator[T_co]
    AsyncConcatenateIterator: TypeAlias = AsyncIterator[T_co]
    Batch: TypeAlias = list[T]
else:

    class ConcatenateIterator(Iterator[T_co]):
        """Annotates a generator of text whose chunks are to be joined: `-> ConcatenateIterator[str]`."""

    class AsyncConcatenateIterator(AsyncIterator[T_co]):
        """Annotates an async generator of text whose chunks are to be joined."""

    class Batch(list[T]):
        """Annotates what is a list with one value for each prediction: `text: Batch[str]`. It is a plain list."""


def _resolve(value: Any, info: "core_schema.ValidationInfo[Any]", expected: str) -> Any:
    context: dict[str, Any] = info.context or {}
    files: FileResolver | None = context.get("files")
    if files is None and info.mode == "json":
        raise _refused("files cannot be taken here: there is nowhere to keep them")
    if files is None:
        raise _wrong(expected)
    if not isinstance(value, str):
        raise _wrong("a string: a data URL, an http(s) URL or an upload")
    try:
        return files.resolve(value)
    except FileFetchError as error:
        raise _refused(str(error)) from error


def _refused(reason: str) -> Exception:
    from pydantic_core import PydanticCustomError  # noqa: PLC0415 - see the module's docstring

    return PydanticCustomError("file", "{reason}", {"reason": reason})


def _wrong(expected: str) -> Exception:
    from pydantic_core import PydanticCustomError  # noqa: PLC0415 - see the module's docstring

    return PydanticCustomError("value_type", "Input should be {expected}", {"expected": expected})
