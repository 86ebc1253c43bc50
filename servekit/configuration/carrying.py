"""What a program has configured, as it travels to the worker processes that the program has started.

The JSON of each value goes with the number of the change that set it. So a worker can tell what is newer than
what it has, name by name, in whatever order it learns of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from servekit.errors import SettingsError

if TYPE_CHECKING:
    from servekit.configuration.declaration import Declaration

__all__ = ["Carried", "Follower", "NumberedValue", "pack_numbered", "pack_values", "unpack_numbered", "unpack_values"]


@dataclass(frozen=True, slots=True)
class Carried:
    """All that is configured at a moment.

    Attributes:
        version: The number of the change that brought it about.
        payload: The values that JSON can hold, with their versions; for `unpack_numbered`.
        refused: Why the others cannot be carried, by name.
    """

    version: int
    payload: bytes
    refused: Mapping[str, str]


Follower = Callable[[Carried], None]
"""Is told what is configured, by the thread that has configured it."""

NumberedValue = tuple[int, msgspec.Raw]
"""The number of the change that set a value, and its JSON."""


def pack_numbered(
    declaration: "Declaration", values: Mapping[str, Any], versions: Mapping[str, int], version: int
) -> Carried:
    """Return values as they travel, with what has set each of them."""
    written, refused = _write(declaration, values)
    numbered = {name: (versions[name], value) for name, value in written.items()}
    return Carried(version, msgspec.json.encode(numbered), refused)


def unpack_numbered(payload: bytes) -> dict[str, NumberedValue]:
    """Return what `pack_numbered` has packed."""
    return _numbered.decode(payload)


def pack_values(declaration: "Declaration", values: Mapping[str, Any]) -> tuple[bytes, Mapping[str, str]]:
    """Return values as they travel with one prediction, and why some cannot, by name."""
    written, refused = _write(declaration, values)
    return msgspec.json.encode(written), refused


def unpack_values(payload: bytes) -> dict[str, msgspec.Raw]:
    """Return what `pack_values` has packed."""
    return _plain.decode(payload)


def _write(declaration: "Declaration", values: Mapping[str, Any]) -> tuple[dict[str, msgspec.Raw], dict[str, str]]:
    written: dict[str, msgspec.Raw] = {}
    refused: dict[str, str] = {}
    size = 0
    for name, value in values.items():
        try:
            text = declaration.write(name, value)
        except SettingsError as error:
            refused[name] = str(error)
            continue
        if size + len(text) > _MOST_BYTES:
            refused[name] = f"the setting {name} is too large: all together may have {_MOST_BYTES} bytes as JSON"
            continue
        size += len(text)
        written[name] = msgspec.Raw(text)
    return written, refused


_numbered = msgspec.json.Decoder(dict[str, NumberedValue])
_plain = msgspec.json.Decoder(dict[str, msgspec.Raw])

_MOST_BYTES: Final = 1 << 16
"""They go to a new process in a variable, which may have 128 KiB (Linux, MAX_ARG_STRLEN)."""
