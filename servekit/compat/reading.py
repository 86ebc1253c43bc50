"""A Cog predictor's signature in servekit's terms.

What Cog takes works as it does there. What Cog refuses and servekit can do (models, enums, literals,
nested types as inputs, optional outputs) works as well.
"""

import collections.abc
import dataclasses
import inspect
import pathlib
import sys
import types
import typing
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final, Union, get_args, get_origin

import pydantic

from servekit.annotations import accepts_none, narrow, show_annotation
from servekit.compat.cog import AsyncConcatenateIterator, ConcatenateIterator, FieldInfo, Opaque
from servekit.compat.cog.decorators import STREAMING_ATTRIBUTE
from servekit.errors import SignatureError
from servekit.predictor import REQUIRED, InputField
from servekit.reading import Reading
from servekit.signature import is_stream
from servekit.types import File, Path, Secret

__all__ = ["REQUIRED_IN_COG", "CogReading"]

REQUIRED_IN_COG: Final = "x-cog-required"
"""Marks an input that Cog's document requires although its default is None, which is what its author meant."""


class CogReading(Reading):
    """Reads `Input(...)`, annotations and decorators as Cog does."""

    drops_unknown_inputs = True
    sends_misfits = True
    collects_iterators = True
    keeps_canceled = True

    def parameter(self, parameter: inspect.Parameter, annotation: Any) -> tuple[inspect.Parameter, Any]:
        """Translate a parameter; see `Reading`."""
        annotation = _translate(annotation)
        default = parameter.default
        if isinstance(default, InputField):
            return parameter, annotation
        if not isinstance(default, FieldInfo):
            is_given = default is not parameter.empty
            default = FieldInfo(default if is_given else None, has_default=is_given)
        return parameter.replace(default=_translate_field(default, annotation)), annotation

    def output(self, predict: Callable[..., Any], annotation: Any) -> Any:
        """Translate an output's annotation; see `Reading`."""
        annotation = _translate(annotation)
        if (get_origin(annotation) or annotation) in (ConcatenateIterator, AsyncConcatenateIterator):
            item = next(iter(get_args(annotation)), str)
            if item not in (str, Any):
                message = f"ConcatenateIterator element type must be str, got {show_annotation(item)}"
                raise SignatureError(message)
        if is_stream(annotation):
            return annotation
        if hasattr(predict, STREAMING_ATTRIBUTE):
            message = (
                "@streaming requires Iterator[...], AsyncIterator[...], ConcatenateIterator[...] or "
                f"AsyncConcatenateIterator[...] return type; it is {show_annotation(annotation)}"
            )
            raise SignatureError(message)
        # Cog looks at the function alone, whatever its annotation says.
        if inspect.isgeneratorfunction(predict):
            return collections.abc.Iterator[Any]
        return collections.abc.AsyncIterator[Any] if inspect.isasyncgenfunction(predict) else annotation

    def output_extensions(self, predict: Callable[..., Any]) -> dict[str, Any]:
        """Tell whether the author lets clients have the output streamed."""
        return {"x-cog-streaming": True} if hasattr(predict, STREAMING_ATTRIBUTE) else {}


def _translate_field(info: FieldInfo, annotation: Any) -> InputField:
    if info.accept is not None and not _holds(annotation, (Path, File)):
        message = "accept is only valid on Path or File inputs"
        raise SignatureError(message)
    extensions = {} if info.accept is None else {"x-cog-accept": info.accept}
    field = InputField(
        default=_find_default(info, annotation),
        description=info.description,
        choices=None if info.choices is None else tuple(info.choices),
        deprecated=bool(info.deprecated),
        extensions=extensions | ({REQUIRED_IN_COG: True} if _is_required_in_cog(info, annotation) else {}),
    )
    for name in _KEYWORDS:
        field = _limit(field, name, getattr(info, name), annotation)
    return field


_KEYWORDS: Final[dict[str, tuple[str, type]]] = {
    "ge": ("minimum", float),
    "le": ("maximum", float),
    "min_length": ("minLength", str),
    "max_length": ("maxLength", str),
    "regex": ("pattern", str),
}
"""How JSON Schema calls each limit, and for what it is meant."""


def _limit(field: InputField, name: str, limit: Any, annotation: Any) -> InputField:
    """Add a limit; one that cannot apply is shown in the schema as Cog shows it, where it has no effect.

    That holds for choices as well, which need no other limit.

    Raises:
        SignatureError: The limit is not of its own kind.
    """
    if limit is None:
        return field
    limits: dict[str, Any] = {name: limit}
    keyword, kind = _KEYWORDS[name]
    narrow(kind, InputField(**limits))
    try:
        if field.choices is None:
            narrow(annotation, InputField(**limits))
            return dataclasses.replace(field, **limits)
    except SignatureError:
        pass
    return dataclasses.replace(field, extensions={**field.extensions, keyword: limit})


def _find_default(info: FieldInfo, annotation: Any) -> Any:
    """Return the default. None is one where the author wrote it, and for what is annotated so."""
    return info.default if info.has_default or accepts_none(annotation) else REQUIRED


def _is_required_in_cog(info: FieldInfo, annotation: Any) -> bool:
    """Whether Cog has clients send it all the same: None is no value of its type, nor is it a secret."""
    is_none = info.has_default and info.default is None
    return is_none and not accepts_none(annotation) and not _holds(annotation, (Secret,))


_PATHS: Final = frozenset({pathlib.Path, pathlib.PosixPath, pathlib.PurePath, pathlib.PurePosixPath})


def _translate(annotation: Any) -> Any:
    """Put servekit's types in the place of others that mean the same in Cog, at any depth."""
    if isinstance(annotation, type) and annotation in _PATHS:
        return Path
    if sys.version_info < (3, 12) and typing.is_typeddict(annotation):
        return dict[str, Any]  # pydantic cannot look into typing's own there; Cog does not look into any
    arguments = get_args(annotation)
    origin: Any = get_origin(annotation)
    if origin is Annotated:
        inner, *metadata = arguments
        return annotation if Opaque in metadata else Annotated[_translate(inner), *metadata]
    if origin in (Union, types.UnionType):
        members = tuple(map(_translate, arguments))
        is_choice = sum(member is not types.NoneType for member in members) > 1
        return Union[tuple(map(_keep_integers, members)) if is_choice else members]  # noqa: UP007 - made at run time
    translated = tuple(map(_translate, arguments))
    return annotation if translated == arguments else origin[translated]


def _keep_integers(member: Any) -> Any:
    """Have 1 stay the int that the client sent where a float is one of several types."""
    return Annotated[float, pydantic.WrapValidator(_as_sent)] if member is float else member


def _as_sent(value: Any, validate: Callable[[Any], Any]) -> Any:
    return value if type(value) is int else validate(value)


def _holds(annotation: Any, kinds: tuple[type, ...]) -> bool:
    """Whether a type or one of its arguments is one of `kinds`."""
    return any(isinstance(leaf, type) and issubclass(leaf, kinds) for leaf in _leaves(annotation))


def _leaves(annotation: Any) -> Iterator[Any]:
    arguments = get_args(annotation)
    if not arguments:
        yield annotation
    for argument in arguments:
        yield from _leaves(argument)
