"""The text of `servekit.lock`: a requirements file in two parts, with a digest of what it was made from.

The runtime's packages stand first, by themselves, so that an image can install them in a layer that is
the same for many projects.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from packaging.utils import canonicalize_name

__all__ = ["Pin", "describe_changes", "parse_pins", "read_inputs", "read_runtime", "render_lock"]

_HEADER: Final = """\
# Written by `servekit lock`, and used by `servekit build`. Keep it beside the spec, under version control.
# `servekit lock --check` tells whether it is current, `servekit lock --upgrade` takes newer versions.
"""
_INPUTS: Final = "# inputs: sha256:"
_RUNTIME: Final = "# What servekit needs to serve:\n"
_PROJECT: Final = "# What the project needs beside it:\n"
_NAMED: Final = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*(?:==\s*(?P<version>[^\s;\\]+)|@\s)")
_PATH: Final = re.compile(r"^(-e\s+|)(\S+)")


@dataclass(frozen=True)
class Pin:
    """One package of a lock.

    Attributes:
        text: Its lines, with hashes and comments.
        name: In its canonical form; None for a path.
        version: None for a path or an address.
        marker: On which machines it counts, as written; empty for all.
    """

    text: str
    name: str | None
    version: str | None
    marker: str

    @property
    def has_hash(self) -> bool:
        """Whether what is installed can be checked; a folder or a repository has no hash."""
        return "--hash=" in self.text

    def moved(self, move: Callable[[str], str]) -> "Pin":
        """Return the same pin with another path, if it is a path."""
        if self.name is not None:
            return self
        first, newline, rest = self.text.partition("\n")
        return replace(self, text=_PATH.sub(lambda match: match[1] + move(match[2]), first, count=1) + newline + rest)


def parse_pins(text: str) -> list[Pin]:
    """Read the packages of a requirements file that uv wrote."""
    blocks: list[str] = []
    for line in text.splitlines(keepends=True):
        if line[:1] not in ("", " ", "#", "\n") and not line.startswith("--"):
            blocks.append(line)
        elif line.startswith(" ") and blocks:
            blocks[-1] += line
    return [_parse(block) for block in blocks]


def _parse(block: str) -> Pin:
    first = block.partition("\n")[0]
    marker = first.partition(" ;")[2].rstrip(" \\").strip()
    if (match := _NAMED.match(first)) is None:
        return Pin(block, None, None, marker)
    return Pin(block, canonicalize_name(match["name"]), match["version"], marker)


def render_lock(inputs: str, options: Iterable[str], pins: Collection[Pin], runtime: Collection[str]) -> str:
    """Write a lock.

    Args:
        inputs: The digest of what it was made from.
        options: Lines such as `--extra-index-url URL`.
        pins: All packages.
        runtime: The canonical names of those that the runtime needs.
    """
    ours = "".join(pin.text for pin in pins if pin.name in runtime)
    theirs = "".join(pin.text for pin in pins if pin.name not in runtime)
    places = "".join(f"{option}\n" for option in options)
    return f"{_HEADER}{_INPUTS}{inputs}\n{places}\n{_RUNTIME}{ours}\n{_PROJECT}{theirs}"


def read_inputs(text: str) -> str | None:
    """Return the digest of what a lock was made from, or None if there is none in it."""
    line = next((line for line in text.splitlines() if line.startswith(_INPUTS)), None)
    return None if line is None else line.removeprefix(_INPUTS).strip()


def read_runtime(text: str) -> str:
    """Return the part of a lock that servekit itself needs, as a requirements file with the options of the whole."""
    head, _, rest = text.partition(_RUNTIME)
    options = "".join(line for line in head.splitlines(keepends=True) if line.startswith("--"))
    return options + rest.partition(_PROJECT)[0].rstrip("\n") + "\n"


def describe_changes(old: Iterable[Pin], new: Iterable[Pin]) -> Iterator[str]:
    """Say which packages came, went and changed, one line each."""
    before, after = _list_versions(old), _list_versions(new)
    for name in sorted({*before, *after}):
        if name not in before:
            yield f"added {name} {after[name]}"
        elif name not in after:
            yield f"removed {name} {before[name]}"
        elif before[name] != after[name]:
            yield f"changed {name} {before[name]} -> {after[name]}"


def _list_versions(pins: Iterable[Pin]) -> dict[str, str]:
    """List versions by name; some machines may get another one than others."""
    versions: dict[str, list[str]] = {}
    for pin in pins:
        if pin.name is not None:
            versions.setdefault(pin.name, []).append(pin.version or "from its address")
    return {name: " or ".join(found) for name, found in versions.items()}
