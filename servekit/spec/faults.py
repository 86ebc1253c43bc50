"""What is wrong with a spec, in sentences."""

import difflib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from servekit.spec.section import Section

__all__ = ["Fault", "Location", "describe_error", "dotted", "mask_passwords"]

Location = tuple[str | int, ...]

_LONGEST_VALUE: Final = 60
_PASSWORD: Final = re.compile(r"://[^/\s\"@]*@")
_CHANGE_OR_REMOVE: Final = "Change it, or leave it away to get the default."
_KINDS: Final = {
    "int": ("it must be a whole number", "Write it without quotes and without a decimal point."),
    "float": ("it must be a number", "Write it without quotes."),
    "bool": ("it must be true or false", "Write true or false, without quotes."),
    "string": ("it must be text", "Put it into quotes."),
    "tuple": ("it must be a list", 'Write one item a line, each behind a dash: "- item".'),
    "dict": ("it must be a section of `name: value` lines", "Write each entry on its own, indented line."),
    "model": ("it must be a section of `name: value` lines", "Write each field on its own, indented line."),
}
_BOUNDS: Final = {
    "greater_than": ("gt", "it must be more than {}"),
    "greater_than_equal": ("ge", "it must be at least {}"),
    "less_than": ("lt", "it must be less than {}"),
    "less_than_equal": ("le", "it must be at most {}"),
}


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        line: Where in the file, from 1.
        sentence: What is wrong and what was expected.
        remedy: How to mend it.
    """

    line: int
    sentence: str
    remedy: str


def describe_error(error: ErrorDetails, line: int, model: type[Section]) -> Fault:
    """Say in a person's words what pydantic found.

    Args:
        error: What it found.
        line: Where that stands.
        model: The section that the file as a whole is.
    """
    # pydantic names the key of a mapping by a marker behind it.
    location = error["loc"][:-1] if error["loc"][-1:] == ("[key]",) else error["loc"]
    name = dotted(location)
    if error["type"] == "extra_forbidden":
        return _describe_unknown_key(location, line, model)
    if "sentence" in (context := error.get("ctx", {})):
        return Fault(line, f"{context['sentence']}.", str(context["remedy"]))
    if error["type"] == "missing":
        return _describe_missing(location, line)
    expected, remedy = describe_expectation(error)
    return Fault(line, f"{name or 'the file'} is {_shorten(error['input'])}; {expected}.", remedy)


def describe_expectation(error: ErrorDetails) -> tuple[str, str]:
    """Say what was expected instead of a value, and how to mend it."""
    context = error.get("ctx", {})
    if "remedy" in context:
        return str(context["expected"]), str(context["remedy"])
    if error["type"] == "literal_error":
        return _describe_choices(error["input"], str(context["expected"]))
    if error["type"] in _BOUNDS:
        key, sentence = _BOUNDS[error["type"]]
        return sentence.format(f"{context[key]:g}"), _CHANGE_OR_REMOVE
    if error["type"] == "string_too_short":
        return "it may not be empty", "Fill it in, or leave it away."
    expected, remedy = _KINDS.get(error["type"].split("_")[0], (error["msg"], _CHANGE_OR_REMOVE))
    # What came from a variable or a flag was text in any case, so it is not the quotes that are wrong.
    return expected, _CHANGE_OR_REMOVE if error["type"].endswith("_parsing") else remedy


def dotted(location: Location) -> str:
    """Write a location as a person reads it: `build.run[1]`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")


def mask_passwords(text: str) -> str:
    """Return a text without the user and the password of URLs in it: messages end in the logs of a CI."""
    return _PASSWORD.sub("://***@", text)


def _describe_unknown_key(location: Location, line: int, model: type[Section]) -> Fault:
    fields = _fields_at(location[:-1], model)
    section = dotted(location[:-1]) or "the spec"
    remedy = f"Fields of {section} are {', '.join(fields)}."
    suggestion = _suggest(location, fields, model)
    hint = f'; did you mean "{suggestion}"?' if suggestion else "."
    return Fault(line, f"{dotted(location)} is not a known field{hint}", remedy)


def _suggest(location: Location, fields: list[str], model: type[Section]) -> str | None:
    """Find what an unknown key was meant to be: a near miss here, or the same name in another section."""
    key = str(location[-1])
    if near := difflib.get_close_matches(key, fields, n=1):
        return dotted((*location[:-1], near[0]))
    elsewhere = [path for path in _all_paths(model) if path[-1] == key]
    return dotted(elsewhere[0]) if elsewhere else None


def _describe_missing(location: Location, line: int) -> Fault:
    if location == ("predictor",):
        return Fault(
            line,
            "predictor is missing; it names the class or function to run.",
            'Add a line such as "predictor: predict.py:Predictor".',
        )
    return Fault(line, f"{dotted(location)} is missing.", "Add it.")


def _describe_choices(value: object, expected: str) -> tuple[str, str]:
    choices = [choice.strip("'") for choice in expected.replace(" or ", ", ").split(", ")]
    near = difflib.get_close_matches(str(value), choices, n=1)
    hint = f' (did you mean "{near[0]}"?)' if near else ""
    listed = f"{', '.join(choices[:-1])} or {choices[-1]}"
    return f"it must be {listed}{hint}", f"Set it to {near[0] if near else listed}."


def _fields_at(location: Location, root: type[Section]) -> list[str]:
    model: type[BaseModel] = root
    for part in location:
        if isinstance(part, int):  # an item of a list, whose model the list's name has led to
            continue
        annotation = model.model_fields[part].annotation
        model = next(kind for kind in _walk_kinds(annotation) if issubclass(kind, BaseModel))
    return sorted(model.model_fields)


def _walk_kinds(annotation: object) -> Iterator[type]:
    """Give the classes in an annotation, such as the one that a list's items have."""
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for argument in get_args(annotation):
        yield from _walk_kinds(argument)


def _all_paths(model: type[Section], prefix: Location = ()) -> list[Location]:
    paths: list[Location] = []
    for name, info in model.model_fields.items():
        here = (*prefix, name)
        paths.append(here)
        if isinstance(info.annotation, type) and issubclass(info.annotation, Section):
            paths.extend(_all_paths(info.annotation, here))
    return paths


def _shorten(value: Any) -> str:
    text = mask_passwords(json.dumps(value, default=str, ensure_ascii=False))
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
