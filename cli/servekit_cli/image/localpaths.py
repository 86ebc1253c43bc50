"""Which of a project's own files its requirements name: wheels, archives and folders."""

import re
import tomllib
from collections.abc import Iterator
from typing import Final

__all__ = ["list_required_paths", "list_source_paths", "make_plain"]

_EDITABLE: Final = re.compile(r"^(\s*)(?:-e|--editable)[ =]+", re.MULTILINE)
_FIND_LINKS: Final = re.compile(r"\s*(?:-f|--find-links)[ =]*(\S+)")
_COMMENT: Final = re.compile(r"(?:^|\s)#.*")
_NAMED: Final = re.compile(r"[A-Za-z0-9][\w.-]*(?:\[[^\]]*\])?\s*@\s*(\S+)")
_EXTRAS: Final = re.compile(r"\[[^\]]*\]$")
_ADDRESS: Final = re.compile(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]*:|\$\{")
_ARCHIVE: Final = re.compile(r"\.(?:whl|zip|tar\.gz|tgz|tar\.bz2|tar\.xz)$")

_Source = dict[str, str] | list[dict[str, str]]


def make_plain(text: str) -> str:
    """Turn editable requirements into plain ones: what they would point to is there during the step only."""
    return _EDITABLE.sub(r"\1", text)


def list_required_paths(text: str) -> Iterator[str]:
    """List the paths that a requirements file names, as they are written."""
    for line in make_plain(text).splitlines():
        line = _COMMENT.sub("", line).strip()  # noqa: PLW2901 - the rest is read without it
        if (match := _FIND_LINKS.match(line)) or (match := _NAMED.match(line)):
            path = match[1]
        else:
            path = re.split(r"\s+;|;\s|\s+--|\s+\\", line)[0].strip()
            if "/" not in path and not _ARCHIVE.search(path):
                continue
        path = _EXTRAS.sub("", path)
        if path and not path.startswith("-") and not _ADDRESS.match(path):
            yield path.removeprefix("file://").removeprefix("file:")


def list_source_paths(pyproject: str) -> Iterator[str]:
    """List the paths that `tool.uv.sources` of a pyproject.toml names, as they are written."""
    sources: dict[str, _Source] = tomllib.loads(pyproject).get("tool", {}).get("uv", {}).get("sources", {})
    for source in sources.values():
        # A list where platforms differ.
        for each in source if isinstance(source, list) else [source]:
            if "path" in each:
                yield each["path"]
