"""The tables of the reference, read from the spec's model, the settings, the command line and the errors."""

import json
from collections.abc import Iterator
from types import NoneType
from typing import Any, Final, get_args

import typer
from pydantic.fields import FieldInfo
from typer.core import TyperGroup

from servekit import errors
from servekit.server.metrics.families import list_families
from servekit.server.metrics.reading import WORKER_STATES, Reading
from servekit.server.metrics.tally import Tally
from servekit.spec import SpecFile
from servekit.spec.cog.file import CogFile
from servekit.spec.cog.variables import COG_VARIABLES
from servekit.spec.overrides import list_settings
from servekit.spec.section import Section
from servekit_cli.border import EXIT_CODES
from servekit_cli.main import COMMANDS, make_app

__all__ = [
    "describe_cog",
    "describe_cog_variables",
    "describe_commands",
    "describe_errors",
    "describe_exit_codes",
    "describe_metrics",
    "describe_settings",
    "describe_spec",
    "make_row",
    "start_table",
]

_KINDS: Final[dict[str, str]] = {
    "object": "mapping",
    "array": "list of texts",
    "string": "text",
    "integer": "whole number",
}


_AS_IT_IS: Final = "\b\n"


def describe_spec() -> Iterator[str]:
    """Write servekit.yaml as one table per section, in the order of the model."""
    yield from _describe_section(SpecFile, ())


def describe_cog() -> Iterator[str]:
    """Write cog.yaml in the same way."""
    yield from _describe_section(CogFile, ())


def describe_cog_variables() -> Iterator[str]:
    """Write each of Cog's variables with the one of servekit that means the same."""
    yield from start_table("Variable", "As servekit's", "Value")
    for variable in COG_VARIABLES:
        yield make_row(_code(variable.name), _code(variable.own), variable.expected)


def describe_settings() -> Iterator[str]:
    """Write every serve field with its variable, its flag and its default."""
    yield from start_table("Variable", "Flag of servekit serve", "Field", "Default", "Meaning")
    for setting in list_settings():
        yield make_row(
            ", ".join(_code(name) for name in setting.variables),
            _code(setting.flag),
            _code("serve." + ".".join(setting.path)),
            _code(setting.default),
            setting.description,
        )


def describe_commands() -> Iterator[str]:
    """Write each command with its arguments and options."""
    group = typer.main.get_command(make_app())
    assert isinstance(group, TyperGroup)
    for name, _, _ in COMMANDS:
        command = group.commands[name]
        context = typer.Context(command, info_name=f"servekit {name}")
        yield from ("", f"## servekit {name}", "", "```text", command.get_usage(context).removeprefix("Usage: "), "```")
        yield from ("", *_write_examples(command.help or "").splitlines())
        yield from start_table("Option", "Meaning")
        for parameter in command.params:
            if (record := parameter.get_help_record(context)) is not None:
                yield make_row(_code(record[0].replace("\n", " ")), record[1])


def _write_examples(text: str) -> str:
    """Fence the paragraphs that click is told to leave as they are, which are examples of commands."""
    return "\n\n".join(
        f"```console\n{part.removeprefix(_AS_IT_IS)}\n```" if part.startswith(_AS_IT_IS) else part
        for part in text.split("\n\n")
    )


def describe_exit_codes() -> Iterator[str]:
    """Write each exit code with its meaning."""
    yield from start_table("Exit code", "Meaning")
    for code, meaning in EXIT_CODES.items():
        yield make_row(str(code), meaning)


def describe_errors() -> Iterator[str]:
    """Write each error with the exit code and the HTTP status that it leads to."""
    kinds = [value for name in errors.__all__ if issubclass(value := getattr(errors, name), errors.ServekitError)]
    yield from start_table("Error", "Exit code", "HTTP status", "Meaning")
    for kind in sorted(kinds, key=lambda kind: (kind.exit_code, kind.__name__)):
        meaning = (kind.__doc__ or "").partition("\n\n")[0]
        yield make_row(_code(kind.__name__), str(kind.exit_code), str(kind.http_status), meaning)


def describe_metrics() -> Iterator[str]:
    """Write each metric with its type and its labels, as a server that has done nothing yet shows them."""
    reading = Reading(
        tally=Tally(),
        is_ready=True,
        queue_length=0,
        queue_capacity=0,
        slots_used=0,
        slots=0,
        workers=dict.fromkeys(WORKER_STATES, 0),
        pids={},
    )
    yield from start_table("Metric", "Type", "Labels", "Meaning")
    for family in list_families(reading, memory={1: 0}):
        ending = {"counter": "_total", "info": "_info"}.get(family.type, "")
        labels = {label: None for sample in family.samples for label in sample.labels if label != "le"}
        yield make_row(_code(family.name + ending), family.type, ", ".join(map(_code, labels)), family.documentation)


def start_table(*heads: str) -> Iterator[str]:
    """Write the head of a table."""
    yield ""
    yield make_row(*heads)
    yield make_row(*("---" for _ in heads))


def make_row(*cells: str) -> str:
    """Give a row of a table; a cell may have line breaks and bars in it."""
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"


def _describe_section(model: type[Section], path: tuple[str, ...]) -> Iterator[str]:
    inner: list[tuple[str, type[Section]]] = []
    yield from ("", f"## {'.'.join(path) or 'The file'}", "", (model.__doc__ or "").replace("\n    ", "\n"), "")
    names = _list_names(path)
    yield from start_table("Key", "Value", "Default", *(("Variable", "Flag") if names else ()), "Meaning")
    for name, field in model.model_fields.items():
        assert field.description, f"{model.__name__}.{name} needs a description"
        annotation = field.annotation
        if (item := _find_item_section(field)) is not None:
            inner.append((name, item))
            texts = "" if item in get_args(annotation) else "texts or "
            link = f"list of {texts}[sections](#{'.'.join((*path, name)).replace('.', '')})"
            yield make_row(_code(name), link, _show_default(field), *(("", "") if names else ()), field.description)
        elif isinstance(annotation, type) and issubclass(annotation, Section):
            inner.append((name, annotation))
            key = ".".join((*path, name))
            yield make_row(
                _code(name),
                f"[a section](#{key.replace('.', '')})",
                "",
                *(("", "") if names else ()),
                field.description,
            )
        else:
            cells = (_code(name), _name_kind(model, name, field), _show_default(field))
            yield make_row(*cells, *names.get(name, ()), field.description)
    for name, section in inner:
        yield from _describe_section(section, (*path, name))


def _find_item_section(field: FieldInfo) -> type[Section] | None:
    """Give the section that the items of a list are: `tuple[Section, ...]`, or annotated if a text will do as well."""
    for item in get_args(field.annotation)[:1]:
        kind = next(iter(get_args(item)), item)
        if isinstance(kind, type) and issubclass(kind, Section):
            return kind
    return None


def _list_names(path: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """Give variable and flag of each field of a section; there are some below `serve` only."""
    return {
        setting.path[-1]: (", ".join(_code(name) for name in setting.variables), _code(setting.flag))
        for setting in list_settings()
        if ("serve", *setting.path[:-1]) == path
    }


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
    elif "[a-z_]" in patterns:
        kind = "number, word or range"
    elif "- *" in patterns:
        kind = "number or range"
    else:
        written = str(kinds[0]["type"])
        kind = _KINDS.get(written, written)
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


def _code(text: object) -> str:
    return f"`{text}`"
