"""How many predictions a predictor says it can run at once, read from its source as Cog does.

A server has as many slots before any worker has imported the predictor, so `@concurrent(max=N)` cannot be asked
for its number: it has to be written out.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["MOST_SLOTS", "Declaration", "find_declaration", "read_declaration"]

MOST_SLOTS: Final = 100_000
"""As many as `serve.concurrency` of a servekit.yaml may be."""

_METHODS: Final = ("run", "predict")
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Declaration:
    """What `@concurrent(max=N)` says.

    Attributes:
        place: The file and the line.
        slots: The number; None if it is not one that can be read.
    """

    place: str
    slots: int | None


def read_declaration(root: Path, reference: str) -> Declaration | None:
    """Read the source of a predictor; None if it says nothing, or cannot be read, which its import will tell."""
    file, _, name = reference.partition(":")
    try:
        return find_declaration((root / file).read_bytes(), file, name)
    except (OSError, SyntaxError, ValueError):
        return None


def find_declaration(source: bytes, file: str, name: str) -> Declaration | None:
    """Find the declaration of a class or function.

    Args:
        source: The module.
        file: What it is called, for messages.
        name: Of the class or function.

    Raises:
        SyntaxError: The source is no Python.
        ValueError: Neither is it text.
    """
    definitions = {
        node.name: node
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    }
    function = _find_function(definitions, name, frozenset())
    for decorator in function.decorator_list if function is not None else ():
        if isinstance(decorator, ast.Call) and _name(decorator.func) == "concurrent":
            for keyword in decorator.keywords:
                if keyword.arg == "max":
                    return Declaration(f"{file}:{decorator.lineno}", _read_number(keyword.value))
    return None


def _find_function(
    definitions: Mapping[str, ast.ClassDef | _Function], name: str, seen: frozenset[str]
) -> _Function | None:
    definition = definitions.get(name)
    if not isinstance(definition, ast.ClassDef):
        return definition
    for node in definition.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in _METHODS:
            return node
    # Else a class of the same module that it extends.
    for base in definition.bases:
        if (base_name := _name(base)) is not None and base_name not in seen:
            found = _find_function(definitions, base_name, seen | {name})
            if found is not None:
                return found
    return None


def _name(node: ast.expr) -> str | None:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return None


def _read_number(node: ast.expr) -> int | None:
    match node:
        case ast.Constant(value=int() as number) if not isinstance(number, bool) and 1 <= number <= MOST_SLOTS:
            return number
        case _:
            return None
