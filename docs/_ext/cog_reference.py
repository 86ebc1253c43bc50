"""The tables of servekit beside Cog, from the cases that ask both servers."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from servekit_reference import make_row, start_table

sys.path.insert(0, str(Path(__file__).parents[2] / "tests/support"))

from beside.case import Area
from beside.cases import AREAS
from beside.environment import COG_VERSION

__all__ = ["describe_agreements", "describe_differences"]


def describe_agreements() -> Iterator[str]:
    """Write how many cases of each area agree, and which."""
    counts = [(area.title, *_count(area)) for area in AREAS]
    total = ("all", sum(agreeing for _, agreeing, _ in counts), sum(differing for *_, differing in counts))
    yield f"Measured with Cog {COG_VERSION}."
    yield from start_table("Area", "Cases", "Agree", "Differ")
    for title, agreeing, differing in (*counts, total):
        yield make_row(title, str(agreeing + differing), str(agreeing), str(differing))
    yield ""
    for area in AREAS:
        yield f"- **{area.title}:** {'; '.join(_sentence(case.name) for case in area.cases if not case.difference)}."


def describe_differences() -> Iterator[str]:
    """Write one row per difference, by area."""
    for area in AREAS:
        rows = dict.fromkeys(case.difference for case in area.cases if case.difference is not None)
        if rows:
            yield from ("", f"### {area.title}", "")
            yield from start_table("About", "Cog", "servekit", "Why")
            yield from (make_row(each.topic, each.cog, each.here, each.why) for each in rows)


def _count(area: Area) -> tuple[int, int]:
    differing = sum(case.difference is not None for case in area.cases)
    return len(area.cases) - differing, differing


def _sentence(name: str) -> str:
    words = name.replace("_s_", "'s_").split("_")
    return " ".join(_SPELLINGS.get(word, word) for word in words)


_SPELLINGS: Final = {
    "json": "JSON",
    "mb": "MB",
    "mib": "MiB",
    "put": "PUT",
    "post": "POST",
    "sigterm": "SIGTERM",
    "url": "URL",
    "urls": "URLs",
}
