"""Public functions and classes as Markdown, from their source and their docstrings."""

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from servekit_reference import make_row, start_table

__all__ = ["describe_python"]

_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises):$")
_ENTRY = re.compile(r"^    (\w+): (.*)$")
_HEADS = {"Args": ("Argument", "Meaning"), "Attributes": ("Attribute", "Meaning"), "Raises": ("Error", "When")}


def describe_python(name: str, *members: str) -> Iterator[str]:
    """Write a function, or a class and those of its members that are named.

    Args:
        name: Such as `servekit.Input`.
        members: Names of methods and properties.
    """
    module, _, attribute = name.rpartition(".")
    described: Any = getattr(importlib.import_module(module), attribute)
    yield from ("", f"### {name}", "")
    if inspect.isfunction(described):
        yield from _show_signature(described)
    yield from _convert(inspect.getdoc(described) or "")
    for member in members:
        yield from ("", f"#### {attribute}.{member}", "")
        yield from _describe_member(described, member)


def _describe_member(owner: Any, name: str) -> Iterator[str]:
    found = inspect.getattr_static(owner, name)
    yield from _show_signature(
        found.fget if isinstance(found, property) else found, is_property=isinstance(found, property)
    )
    yield from _convert(inspect.getdoc(found) or "")


def _show_signature(function: Any, *, is_property: bool = False) -> Iterator[str]:
    """Write the head of a function as its source has it: that reads alike under every version of Python."""
    source = textwrap.dedent(inspect.getsource(function))
    definition = ast.parse(source).body[0]
    assert isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef)
    lines = source.splitlines()[definition.lineno - 1 : definition.body[0].lineno - 1]
    head = [re.sub(r"  # .*", "", line) for line in lines]
    yield from ("```python", *(["@property"] if is_property else []), *head[:-1], f"{head[-1]} ...", "```", "")


def _convert(docstring: str) -> Iterator[str]:
    """Write a docstring with its sections as tables."""
    section, entries = "", list[tuple[str, str]]()
    for line in [*docstring.splitlines(), "Returns:"]:
        if started := _SECTION.match(line):
            yield from _close(section, entries)
            section, entries = started[1], []
        elif not section:
            yield line
        elif (entry := _ENTRY.match(line)) and section != "Returns":
            entries.append((entry[1], entry[2]))
        elif line.strip():
            name, text = entries.pop() if entries else ("", "")
            entries.append((name, f"{text} {line.strip()}".strip()))


def _close(section: str, entries: list[tuple[str, str]]) -> Iterator[str]:
    if section in _HEADS:
        yield from start_table(*_HEADS[section])
        for name, text in entries:
            yield make_row(f"`{name}`", text)
        yield ""
    elif entries:
        yield from (f"Returns: {entries[0][1]}", "")
