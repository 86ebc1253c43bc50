"""An image for people to read: in colours on a terminal, and as plain lines elsewhere."""

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final, TextIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from servekit_cli.image.inspection import Inspection
from servekit_cli.schemas import Schema, item_schema, resolve
from servekit_cli.sizes import describe_size

__all__ = ["describe_type", "show_inspection"]

_UNBROKEN: Final = 10_000
"""The width of what is no terminal: programs that read lines want them whole."""


def show_inspection(inspection: Inspection, stream: TextIO = sys.stdout) -> None:
    """Print what is known of an image."""
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(file=stream, highlight=False, markup=False, emoji=False, width=_UNBROKEN)
    facts = inspection.facts
    console.print(Text(facts.title or inspection.name, style="bold"))
    _print_rows(console, _list_facts(inspection))
    _print_ends(console, facts.schema, "Input", "Output")
    if training := facts.schema.get("training"):
        _print_ends(console, training, "Input of a training", "Output of a training")
    console.print(Text(f"\nPackages ({len(facts.packages)})", style="bold"))
    _print_rows(console, [(package.name, package.version) for package in facts.packages])


def _print_ends(console: Console, schema: Schema, *titles: str) -> None:
    rows = (_list_inputs(schema.get("input", {})), [(_describe_output(schema), "")])
    for title, each in zip(titles, rows, strict=True):
        console.print(Text(f"\n{title}", style="bold"))
        _print_rows(console, each)


def describe_type(schema: Schema, root: Schema) -> str:
    """Name the type of a value as short as it can be: `string`, `list of file`, `"a" or "b"`, `integer or null`."""
    names = dict.fromkeys(_list_types(schema, root))
    return " or ".join(sorted(names, key=lambda name: name == "null"))


def _list_types(schema: Schema, root: Schema) -> Iterator[str]:
    schema = resolve(schema, root)
    branches = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]
    if branches:
        for branch in branches:
            yield from _list_types(branch, root)
    elif schema.get("format") in _FORMATS:
        yield _FORMATS[schema["format"]]
    elif values := schema.get("enum", [schema["const"]] if "const" in schema else []):
        yield from (json.dumps(value, ensure_ascii=False) for value in values)
    elif schema.get("type") == "array":
        yield f"list of {describe_type(schema.get('items', {}), root)}"
    else:
        kinds = schema.get("type", "any")
        yield from [kinds] if isinstance(kinds, str) else kinds


_FORMATS: Final = {"uri": "file", "password": "secret"}


def _list_facts(inspection: Inspection) -> Iterator[tuple[str, str]]:
    facts = inspection.facts
    build: dict[str, Any] = facts.spec.get("build", {})
    rows = (
        ("image", ", ".join(inspection.tags) or inspection.name),
        ("id", inspection.id),
        ("size", f"{describe_size(inspection.size)}, {inspection.platform}"),
        ("version", facts.version),
        ("revision", facts.revision),
        ("source", facts.source),
        ("created", facts.created or inspection.created),
        ("predictor", facts.spec.get("predictor")),
        ("python", facts.python),
        ("servekit", facts.servekit),
        ("gpu", _describe_gpu(build) if facts.wants_gpu else None),
    )
    return ((name, str(value)) for name, value in rows if value)


def _describe_gpu(build: dict[str, Any]) -> str:
    return f"needed, with CUDA {build['cuda']} in the image" if build.get("cuda") else "needed"


def _list_inputs(schema: Schema) -> list[tuple[str, str]]:
    properties: dict[str, Schema] = schema.get("properties", {})
    return [(name, _describe_input(name, schema)) for name in properties] or [("none", "")]


def _describe_input(name: str, schema: Schema) -> str:
    own: Schema = schema["properties"][name]
    text = describe_type(own, schema)
    if "default" in own:
        text += f" = {json.dumps(own['default'], ensure_ascii=False)}"
    elif name not in schema.get("required", ()):
        text += ", optional"
    return f"{text}   {own['description']}" if own.get("description") else text


def _describe_output(schema: Schema) -> str:
    output: Schema = schema.get("output", {})
    if schema.get("concatenates"):
        return "text, in pieces"
    if schema.get("streams"):
        return f"stream of {describe_type(item_schema(output, output), output)}"
    return describe_type(output, output)


def _print_rows(console: Console, rows: Iterable[tuple[str, str]]) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(name, style="cyan"), Text(value))
    with console.capture() as captured:
        console.print(Padding(table, (0, 0, 0, 2)))
    # A table fills its lines with blanks, which nobody wants to copy.
    for line in captured.get().splitlines():
        console.file.write(f"{line.rstrip()}\n")
