"""The parts of the reference that are read from the code, so that they cannot differ from it.

Directives:
- servekit-spec: a table per section of servekit.yaml
- servekit-settings: the serve fields with their variables and flags
- servekit-commands: the help of each command
- servekit-exit-codes: each exit code of the command line
- servekit-errors: each error with its exit code and HTTP status
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import NoneType
from typing import Any, get_args

from docutils import nodes
from docutils.statemachine import StringList
from pydantic.fields import FieldInfo
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from servekit import errors
from servekit.spec import SpecFile
from servekit.spec.overrides import list_settings
from servekit.spec.section import Section
from servekit_cli.border import EXIT_CODES
from servekit_cli.main import COMMANDS


def describe_spec() -> Iterator[str]:
    """Write servekit.yaml as one table per section, in the order of the model."""
    yield from _describe_section(SpecFile, ())


def describe_settings() -> Iterator[str]:
    """Write every serve field with its variable, its flag and its default."""
    yield from _start_table("Variable", "Flag of servekit serve", "Field", "Default", "Meaning")
    for setting in list_settings():
        yield _row(
            ", ".join(_code(name) for name in setting.variables),
            _code(setting.flag),
            _code("serve." + ".".join(setting.path)),
            _code(setting.default),
            setting.description,
        )


def describe_commands() -> Iterator[str]:
    """Write the help of each command, as the command line itself prints it."""
    environ = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    for name, _, _ in COMMANDS:
        command = [sys.executable, "-m", "servekit_cli", name, "--help"]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
        yield from ("", f"## servekit {name}", "", "```text", *done.stdout.splitlines(), "```")


def describe_exit_codes() -> Iterator[str]:
    """Write each exit code with its meaning."""
    yield from _start_table("Exit code", "Meaning")
    for code, meaning in EXIT_CODES.items():
        yield _row(str(code), meaning)


def describe_errors() -> Iterator[str]:
    """Write each error with the exit code and the HTTP status that it leads to."""
    kinds = [value for name in errors.__all__ if issubclass(value := getattr(errors, name), errors.ServekitError)]
    yield from _start_table("Error", "Exit code", "HTTP status", "Meaning")
    for kind in sorted(kinds, key=lambda kind: (kind.exit_code, kind.__name__)):
        meaning = (kind.__doc__ or "").partition("\n\n")[0]
        yield _row(_code(kind.__name__), str(kind.exit_code), str(kind.http_status), meaning)


def _describe_section(model: type[Section], path: tuple[str, ...]) -> Iterator[str]:
    inner: list[tuple[str, type[Section]]] = []
    yield from ("", f"## {'.'.join(path) or 'The file'}", "", (model.__doc__ or "").replace("\n    ", "\n"), "")
    yield from _start_table("Key", "Value", "Default", "Meaning")
    for name, field in model.model_fields.items():
        assert field.description, f"{model.__name__}.{name} needs a description"
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, Section):
            inner.append((name, annotation))
            key = ".".join((*path, name))
            yield _row(_code(name), f"[a section](#{key.replace('.', '')})", "", field.description)
        else:
            yield _row(_code(name), _name_kind(model, name, field), _show_default(field), field.description)
    for name, section in inner:
        yield from _describe_section(section, (*path, name))


def _name_kind(model: type[Section], name: str, field: FieldInfo) -> str:
    schema = model.model_json_schema()["properties"][name]
    kinds = list(_list_kinds(schema))
    if choices := [choice for choice in kinds[0].get("enum", schema.get("enum", [])) if choice is not None]:
        return " or ".join(_code(choice) for choice in choices)
    patterns = " ".join(part.get("pattern", "") for part in kinds)
    if "ms|s|m|h" in patterns:
        kind = "duration"
    elif "[Bb]" in patterns:
        kind = "size"
    else:
        kind = {"object": "mapping", "array": "list of texts", "string": "text", "integer": "whole number"}.get(
            kinds[0]["type"], kinds[0]["type"]
        )
    return f"{kind}, or null" if NoneType in get_args(field.annotation) and field.default is not None else kind


def _list_kinds(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "anyOf" in schema:
        for part in schema["anyOf"]:
            yield from _list_kinds(part)
    elif schema.get("type") != "null":
        yield schema


def _show_default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if default is None or default in ((), {}):
        return "none"
    for setting in list_settings():
        if setting.description == field.description:
            return _code(setting.default)
    return _code(json.dumps(default))


def _start_table(*heads: str) -> Iterator[str]:
    yield ""
    yield _row(*heads)
    yield _row(*("---" for _ in heads))


def _row(*cells: str) -> str:
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"


def _code(text: object) -> str:
    return f"`{text}`"


def _make_directive(describe: Callable[[], Iterator[str]]) -> type[SphinxDirective]:
    class Generated(SphinxDirective):
        def run(self) -> list[nodes.Node]:
            self.content = StringList(list(describe()), source=self.get_source_info()[0])
            return self.parse_content_to_nodes(allow_section_headings=True)

    return Generated


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives, for Sphinx."""
    app.add_directive("servekit-spec", _make_directive(describe_spec))
    app.add_directive("servekit-settings", _make_directive(describe_settings))
    app.add_directive("servekit-commands", _make_directive(describe_commands))
    app.add_directive("servekit-exit-codes", _make_directive(describe_exit_codes))
    app.add_directive("servekit-errors", _make_directive(describe_errors))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
