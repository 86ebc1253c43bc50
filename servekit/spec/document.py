"""A YAML file as plain values, with the line on which each of them stands."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import yaml

from servekit.spec.faults import Fault, Location

__all__ = ["Document", "read_document"]

_WRITTEN_AS_TEXT: Final = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:bool")


@dataclass(frozen=True)
class Document:
    """What a YAML file holds.

    Attributes:
        value: Dicts, tuples and scalars; an empty file is an empty dict.
        lines: The line, from 1, of each location; for an entry of a mapping that of its key.
        faults: What is wrong already, such as a key given twice.
        is_readable: Whether it is YAML at all; if not, the value is empty and the one fault says why.
    """

    value: object
    lines: Mapping[Location, int]
    faults: tuple[Fault, ...]
    is_readable: bool = True

    @property
    def faulty_lines(self) -> frozenset[int]:
        """The lines that could not be read as they stand."""
        return frozenset(fault.line for fault in self.faults)

    def line_of(self, location: Location) -> int:
        """Give the line of a location, or of what encloses it when it is not there."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)


def read_document(text: str, text_fields: frozenset[Location]) -> Document:
    """Read YAML text; faults are collected, not raised.

    Args:
        text: The file.
        text_fields: The fields, and the sections whose fields, are texts: a number or a bool there is taken as it
            is written. `python_version: 3.10` must not become 3.1, nor a variable's `1.0` another text.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        return _unreadable(_syntax_fault(error))
    except yaml.YAMLError as error:
        return _unreadable(Fault(1, f"this is not YAML: {error}.", "Save the file as plain UTF-8 text."))
    except RecursionError:
        return _unreadable(Fault(1, "the file is nested too deeply to be a spec.", "Flatten it."))
    reader = _Reader(text_fields)
    value: object = reader.read(node, ()) if node is not None else dict[str, object]()
    return Document(value, reader.lines, tuple(reader.faults))


@dataclass
class _Reader:
    """Walks the nodes of one document."""

    text_fields: frozenset[Location]
    lines: dict[Location, int] = field(default_factory=dict[Location, int])
    faults: list[Fault] = field(default_factory=list[Fault])
    _open: list[yaml.Node] = field(default_factory=list[yaml.Node])
    _scalars: yaml.constructor.SafeConstructor = field(default_factory=yaml.constructor.SafeConstructor)

    def read(self, node: yaml.Node, location: Location) -> object:
        line = node.start_mark.line + 1
        self.lines.setdefault(location, line)
        if any(node is other for other in self._open):
            self.faults.append(Fault(line, "an alias refers to what encloses it.", "Write the values out."))
            return None
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._read_mapping(node, location)
            if isinstance(node, yaml.SequenceNode):
                return tuple(self.read(item, (*location, index)) for index, item in enumerate(_items(node)))
            return self._read_scalar(node, location)
        finally:
            self._open.pop()

    def _read_mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, object]:
        values: dict[str, object] = {}
        for key_node, value_node in _pairs(node):
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.faults.append(Fault(line, "a list or section cannot be a key.", "Use plain text as key."))
                continue
            key = str(key_node.value)
            here = (*location, key)
            if key in values:
                dotted = ".".join(map(str, here))
                first = self.lines[here]
                self.faults.append(Fault(line, f"{dotted} is given twice, first on line {first}.", "Keep one of them."))
                continue
            self.lines[here] = line
            values[key] = self.read(value_node, here)
        return values

    def _read_scalar(self, node: yaml.Node, location: Location) -> object:
        if node.tag in _WRITTEN_AS_TEXT and not self.text_fields.isdisjoint((location, location[:-1])):
            return str(node.value)
        try:
            # The stub leaves the node untyped.
            value: object = self._scalars.construct_object(node)  # pyright: ignore[reportUnknownMemberType]
        except (yaml.MarkedYAMLError, ValueError):
            line = node.start_mark.line + 1
            remedy = "Remove what begins with '!', or put the value into quotes."
            self.faults.append(Fault(line, f"{node.value!r} cannot be read as {node.tag}.", remedy))
            return None
        return value


def _items(node: yaml.SequenceNode) -> Iterator[yaml.Node]:
    yield from node.value


def _pairs(node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    yield from node.value


def _unreadable(fault: Fault) -> Document:
    return Document({}, {}, (fault,), is_readable=False)


def _syntax_fault(error: yaml.MarkedYAMLError) -> Fault:
    line = error.problem_mark.line + 1 if error.problem_mark else 1
    problem = error.problem or "it is not YAML"
    if "'\\t'" in problem:
        return Fault(line, "a tab indents this line; YAML wants spaces.", "Replace each tab by two spaces.")
    context = f" ({error.context})" if error.context else ""
    return Fault(line, f"this is not YAML: {problem}{context}.", "Mend this line or the one before it.")
