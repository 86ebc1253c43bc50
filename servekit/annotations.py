"""Annotations as an author writes them: read from a function, looked into, and narrowed by an `Input`."""

import dataclasses
import functools
import inspect
import math
import numbers
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Annotated, Any, Final, Literal, NewType, Union, cast, get_args, get_origin

import pydantic
from pydantic.errors import (
    PydanticInvalidForJsonSchema,
    PydanticSchemaGenerationError,
    PydanticUndefinedAnnotation,
    PydanticUserError,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, JsonSchemaWarningKind
from pydantic_core import PydanticSerializationError, SchemaError, core_schema

from servekit.errors import SignatureError
from servekit.predictor import InputField
from servekit.problems import schema_has
from servekit.types import Secret

__all__ = [
    "CANNOT_BE_USED",
    "WHAT_WORKS",
    "SchemaGenerator",
    "accepts_none",
    "narrow",
    "read_hints",
    "show_annotation",
    "show_reason",
]

CANNOT_BE_USED: Final = (PydanticUserError, PydanticUndefinedAnnotation, SchemaError, TypeError)
"""How pydantic says that it can make nothing of an annotation."""

_SECRET_FORMATS: Final = frozenset({"password"})

WHAT_WORKS: Final = (
    "what works: str, int, float, bool, Literal, Enum, Optional, unions, list, dict, tuple, set, "
    "TypedDict (before Python 3.12 that of typing_extensions), dataclasses, "
    "pydantic models, datetime and its kin, Any, and servekit's Path, File and Secret"
)


def read_hints(function: Callable[..., Any], where: str) -> dict[str, Any]:
    """Return a function's annotations with names in them resolved.

    Raises:
        SignatureError: An annotation names something that does not exist, or is no annotation.
    """
    inner = inspect.unwrap(function)
    while isinstance(inner, functools.partial):
        inner = inspect.unwrap(inner.func)
    # An object that is called has its annotations on its class; classes have none of their own to mix them up with.
    target = inner if inspect.isroutine(inner) else type(inner).__call__
    try:
        return {**_read_set_hints(function), **typing.get_type_hints(target, include_extras=True)}
    except (NameError, TypeError, SyntaxError, AttributeError) as error:
        message = (
            f"{where}: an annotation cannot be read: {error}. "
            "Names in annotations must be importable at run time, not only under `if TYPE_CHECKING`"
        )
        raise SignatureError(message) from error


def _read_set_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations of a signature that a decorator has set (`__signature__`); they are no texts there."""
    set_signature = getattr(function, "__signature__", None)
    if not isinstance(set_signature, inspect.Signature):
        return {}
    hints = {name: each.annotation for name, each in set_signature.parameters.items()}
    hints["return"] = set_signature.return_annotation
    return {name: hint for name, hint in hints.items() if hint is not inspect.Signature.empty}


def show_reason(error: Exception) -> str:
    """Return why one of `CANNOT_BE_USED` came, in words that say nothing of pydantic's inside."""
    reason = str(error).splitlines()[0].partition(". ")[0]
    if isinstance(error, PydanticInvalidForJsonSchema):
        return "a function cannot be sent as JSON" if "Callable" in reason else "JSON has nothing like it"
    if isinstance(error, PydanticSchemaGenerationError):
        culprit = reason.partition(" schema for ")[2]
        if found := re.fullmatch(r"<class '(?:.*\.)?(\w+)'>", culprit):
            return f"what a {found[1]} is in JSON is not known; a class of your own can be a dataclass"
        return f"{culprit} is no type"
    return reason


def show_annotation(annotation: Any) -> str:
    """Return an annotation as its author would write it."""
    return (
        inspect.formatannotation(annotation)
        .replace("typing.", "")
        .replace("servekit.types.", "")
        .replace("NoneType", "None")
    )


def accepts_none(annotation: Any) -> bool:
    """Whether an annotation names None as a value; `Any` does not name it."""
    return any(leaf in (None, type(None)) for leaf in _leaves(annotation))


def narrow(annotation: Any, field: InputField) -> Any:
    """Put the limits of an `Input` on an annotation, on each member of a union that they can apply to.

    Raises:
        SignatureError: A limit cannot apply to this annotation; the message does not name the parameter.
    """
    limited = annotation
    for change, needs in _changes(field):
        changed = _change(limited, change)
        if changed is None:
            message = f"{needs}; the annotation is {show_annotation(annotation)}"
            raise SignatureError(message)
        limited = changed
    if field.choices is None:
        return limited
    chosen = _choose(annotation, field.choices)
    _check_choices(limited, field.choices)
    return chosen  # whose values are within the limits


class SchemaGenerator(GenerateJsonSchema):
    """Pydantic's JSON Schema without defaults that must or can not be shown: secrets, local paths, infinity."""

    def encode_default(self, dft: Any) -> Any:
        """Return a default as JSON, or refuse, which leaves it out."""
        is_infinite = isinstance(dft, float) and not math.isfinite(dft)
        if is_infinite or isinstance(dft, Secret | pydantic.SecretStr | pydantic.SecretBytes | PurePath):
            message = "this default is not for the schema"
            raise PydanticSerializationError(message)
        return super().encode_default(dft)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Return the schema of something with a default, which an author may give a secret as mere text."""
        described = super().default_schema(schema)
        if described.get("default") is not None and schema_has({**described, "default": None}, _SECRET_FORMATS):
            del described["default"]
        return described

    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        """Say nothing: what the schema leaves out is no fault of the author's."""


_Change = Callable[[Any], Any]


def _changes(field: InputField) -> list[tuple[_Change, str]]:
    """Return how an `Input` changes the annotation, each with what it needs."""
    _check_limits(field)
    changes: list[tuple[_Change, str]] = []
    bounds = {name: limit for name in ("ge", "le", "gt", "lt") if (limit := getattr(field, name)) is not None}
    if bounds:
        changes.append((_adds(_is_number, **bounds), f"{_written(bounds)} needs a number"))
    lengths = {name: limit for name in ("min_length", "max_length") if (limit := getattr(field, name)) is not None}
    if lengths:
        changes.append((_adds(_has_length, **lengths), f"{_written(lengths)} needs text or a collection"))
    if field.regex is not None:
        try:
            re.compile(field.regex)
        except re.error as error:
            message = f"regex={field.regex!r} is not a regular expression: {error}"
            raise SignatureError(message) from error
        changes.append((_adds(_is_text, pattern=field.regex), "regex needs text"))
    return changes


def _check_limits(field: InputField) -> None:
    """Refuse a limit that is not of its own kind, such as `ge="a"`."""
    kinds: dict[str, tuple[str, Callable[[Any], bool]]] = {
        **dict.fromkeys(("ge", "le", "gt", "lt"), ("a number", _is_limit)),
        **dict.fromkeys(("min_length", "max_length"), ("a whole number, 0 or more", _is_count)),
        "regex": ("text", lambda value: isinstance(value, str)),
    }
    for name, (noun, fits) in kinds.items():
        limit: Any = getattr(field, name)
        if limit is not None and not fits(limit):
            message = f"{name}={limit!r} is of type {type(limit).__name__}; it must be {noun}"
            raise SignatureError(message)


def _is_limit(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, numbers.Real | Decimal) and not math.isnan(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _adds(fits: Callable[[Any], bool], **limits: Any) -> _Change:
    return lambda leaf: Annotated[leaf, pydantic.Field(**limits)] if fits(leaf) else None


def _choose(annotation: Any, choices: Sequence[Any]) -> Any:
    """Allow only the choices, which must all be of the annotation's one type."""
    if not choices:
        message = "choices is empty; give at least one"
        raise SignatureError(message)
    members = [leaf for leaf in _leaves(annotation) if leaf not in (None, type(None))]
    kind = members[0] if len(members) == 1 else None
    if kind not in (str, int, float, bool):
        message = f"choices needs the annotation str, int, float or bool, not {show_annotation(annotation)}"
        raise SignatureError(message)
    wrong = [choice for choice in choices if type(choice) is not kind and not (kind is float and type(choice) is int)]
    if wrong:
        message = f"choices has {wrong[0]!r}, which is not {kind.__name__}"
        raise SignatureError(message)
    allowed = cast("Any", Literal)[tuple(kind(choice) for choice in choices)]
    return _change(annotation, lambda leaf: allowed if leaf is kind else None)


def _check_choices(limited: Any, choices: Sequence[Any]) -> None:
    """Refuse choices that the limits beside them do not allow."""
    adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(limited)
    for choice in choices:
        try:
            adapter.validate_python(choice)
        except pydantic.ValidationError as error:
            message = f"choices has {choice!r}, which the limits beside it do not allow: {error.errors()[0]['msg']}"
            raise SignatureError(message) from error


def _change(annotation: Any, change: _Change) -> Any:
    """Change the leaves of an annotation where `change` gives something; None where it nowhere does."""
    annotation = _unalias(annotation)
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        changed = _change(inner, change)
        return None if changed is None else Annotated[changed, *metadata]
    if _is_union(annotation):
        members = get_args(annotation)
        changed_members = [_change(member, change) for member in members]
        if all(member is None for member in changed_members):
            return None
        pairs = zip(members, changed_members, strict=True)
        return Union[tuple(old if new is None else new for old, new in pairs)]  # noqa: UP007 - built at run time
    return change(annotation)


def _leaves(annotation: Any) -> list[Any]:
    annotation = _unalias(annotation)
    if get_origin(annotation) is Annotated:
        return _leaves(get_args(annotation)[0])
    if _is_union(annotation):
        return [leaf for member in get_args(annotation) for leaf in _leaves(member)]
    return [annotation]


def _unalias(annotation: Any) -> Any:
    """Follow `type X = ...` and NewType to what they stand for."""
    while True:
        if isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        else:
            return annotation


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def _is_number(leaf: Any) -> bool:
    return isinstance(leaf, type) and issubclass(leaf, int | float | Decimal) and not issubclass(leaf, bool | Enum)


def _is_text(leaf: Any) -> bool:
    return isinstance(leaf, type) and issubclass(leaf, str) and not issubclass(leaf, Enum)


def _has_length(leaf: Any) -> bool:
    kind = get_origin(leaf) or leaf
    if not isinstance(kind, type) or typing.is_typeddict(kind) or dataclasses.is_dataclass(kind):
        return False
    return issubclass(kind, Sequence | AbstractSet | Mapping) and not issubclass(kind, Enum)


def _written(limits: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={limit!r}" for name, limit in limits.items())
