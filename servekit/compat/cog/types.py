"""The types that the code of a Cog project annotates with.

`Path`, `File` and the iterators are servekit's own. A file that a client names is there, as a local
copy, before `run` begins.
"""

from typing import TYPE_CHECKING, Any, TypeAlias

from servekit import types
from servekit.compat.cog.deprecated import ExperimentalFeatureWarning
from servekit.compat.cog.urls import URLFile, URLPath
from servekit.types import AsyncConcatenateIterator, ConcatenateIterator, File, Path

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic_core import core_schema

__all__ = [
    "AsyncConcatenateIterator",
    "ConcatenateIterator",
    "ExperimentalFeatureWarning",
    "File",
    "Path",
    "Secret",
    "URLFile",
    "URLPath",
    "Weights",
]

Weights: TypeAlias = File | Path | str
"""What `setup(weights)` is given, in the words of older versions; here it is the text of COG_WEIGHTS."""


class Secret(types.Secret):
    """Text that logs, errors and outputs show as asterisks; here it may also be made without any.

    Not a dataclass, as Cog's is: in an output that would show the text.
    """

    __slots__ = ()

    def __init__(self, secret_value: str | None = None) -> None:
        self._value = secret_value  # type: ignore[assignment] # None is what it adds

    @property
    def secret_value(self) -> str | None:
        """The text itself."""
        return self._value

    def get_secret_value(self) -> str | None:  # type: ignore[override] # likewise
        """Return the text itself."""
        return self._value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: "core_schema.CoreSchema", handler: "GetJsonSchemaHandler"
    ) -> dict[str, Any]:
        """Describe as a password, for pydantic; clients of Cog look for the last key."""
        return {**super().__get_pydantic_json_schema__(schema, handler), "x-cog-secret": True}

    def __str__(self) -> str:
        return "" if self.secret_value is None else types.MASK

    def __repr__(self) -> str:
        return f"Secret({self})"
