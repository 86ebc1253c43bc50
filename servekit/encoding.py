"""Outputs: checked against the annotation of `predict` and written as JSON, once.

A value is taken strictly: the text "3" is no int. Only shapes are forgiving, since JSON has one kind
of list and one kind of object: a tuple or an array passes for a list, a dict for a model.
"""

import os
import reprlib
from typing import Any, Final, cast

import msgspec
import pydantic
from pydantic_core import PydanticSerializationError

from servekit.annotations import CANNOT_BE_USED, WHAT_WORKS, SchemaGenerator, show_annotation, show_reason
from servekit.errors import FileFetchError, OutputError, SignatureError
from servekit.jsonable import INLINE, JsonWriter, refuse_nan
from servekit.misfits import expectation
from servekit.types import Secret

__all__ = ["OutputEncoder"]


class OutputEncoder:
    """Encodes values of one annotation.

    Attributes:
        schema: The JSON Schema of an encoded value.

    Args:
        annotation: What the values must fit; `Any` for whatever can be encoded.
        where: What to name in a `SignatureError`.
        sends_misfits: Whether a value that does not fit the annotation is encoded as it is, and not refused.
    """

    def __init__(self, annotation: Any, where: str, *, sends_misfits: bool = False) -> None:
        self._annotation = annotation
        self._sends_misfits = sends_misfits
        try:
            adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(annotation)
            self.schema = adapter.json_schema(mode="serialization", schema_generator=SchemaGenerator)
        except CANNOT_BE_USED as error:
            message = (
                f"{where} is annotated {show_annotation(annotation)}, "
                f"which cannot be an output ({show_reason(error)}); {WHAT_WORKS}. An array fits list[...] and Any"
            )
            raise SignatureError(message) from error
        self._validator = adapter.validator
        self._dump = adapter.serializer.to_python if _has_own_form(adapter.core_schema) else None
        self._plain = frozenset(kind for kind in _PLAIN if annotation in (kind, Any))

    def encode(self, value: Any, writer: JsonWriter = INLINE) -> bytes:
        """Return a value as compact JSON.

        Args:
            value: What `predict` gave.
            writer: Writes what fits, files included.

        Raises:
            OutputError: It does not fit the annotation, or JSON cannot hold it.
        """
        try:
            if type(value) in self._plain:
                return writer.encode_plain(value)
            try:
                fitting = self._fit(value)
            except OutputError:
                if self._sends_misfits:
                    return writer.encode(value)
                raise
            if self._dump is not None:
                fitting = self._dump(fitting, mode="python", by_alias=True, warnings="none")
            return writer.encode(fitting)
        except RecursionError as error:
            message = f"got {_show(value)}, which is nested too deeply or contains itself"
            raise OutputError(message) from error
        except (TypeError, ValueError, PydanticSerializationError) as error:
            message = f"got {_show(value)}, which cannot be written as JSON: {error}"
            raise OutputError(message) from error

    def _fit(self, value: Any) -> Any:
        try:
            return self._validator.validate_python(value, strict=True)
        except pydantic.ValidationError as error:
            return self._fit_as_json(value, error)

    def _fit_as_json(self, value: Any, first: pydantic.ValidationError) -> Any:
        """Try again with the value as JSON has it, where a tuple is a list and an array is one too."""
        kept = _KeptObjects()
        try:
            encoded = msgspec.json.Encoder(enc_hook=kept.substitute).encode(value)
            refuse_nan(value, encoded)
        except (TypeError, ValueError, RecursionError, _NoFormError):
            raise self._misfit(value, first) from first
        except OutputError as error:
            message = f"{self._misfit(value, first)}; {error}"
            raise OutputError(message) from error
        try:
            fitting = self._validator.validate_json(encoded, strict=True, context={"files": kept})
        except pydantic.ValidationError as error:
            raise self._misfit(value, error) from error
        if not kept.are_all_taken:
            raise self._misfit(value, first) from first
        return fitting

    def _misfit(self, value: Any, error: pydantic.ValidationError) -> OutputError:
        places: list[str] = []
        details = error.errors(include_url=False)
        for each in details[:_SHOWN_PLACES]:
            what = expectation(each)[1]
            reason = (
                f"expected {what}, got {_show(each['input'])}"
                if what
                else each["msg"].replace("Field required", "missing")
            )
            path = "".join(f"[{part!r}]" for part in each["loc"])
            if path:
                places.append(f"at {path}: {reason}")
        more = f"; and {len(details) - _SHOWN_PLACES} more" if len(details) > _SHOWN_PLACES else ""
        head = f"expected {show_annotation(self._annotation)}, got {_show(value)}"
        return OutputError("; ".join([head, *places]) + more)


_PLAIN: Final = (str, int, bool, type(None))
"""What needs neither check nor conversion when it is just what the annotation says; most of what is streamed."""

_SHOWN_PLACES: Final = 3
"""A list of a million wrong items has the first ones named."""


def _has_own_form(schema: Any) -> bool:
    """Whether something in a core schema may say how it wants to be written: a model, an alias, a serializer."""
    if isinstance(schema, dict):
        node = cast("dict[str, Any]", schema)
        is_one = node.get("type") in ("model", "dataclass") or "serialization" in node or "serialization_alias" in node
        return is_one or any(_has_own_form(part) for part in node.values())
    return isinstance(schema, list | tuple) and any(_has_own_form(part) for part in cast("list[Any]", schema))


class _NoFormError(Exception):
    """An object has no form in JSON that could be checked against an annotation."""


class _KeptObjects:
    """Lets files and secrets pass through JSON as tokens, so that their content stays out of it."""

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}
        self._taken: set[str] = set()
        self._writer = JsonWriter(self._keep)

    @property
    def are_all_taken(self) -> bool:
        """Whether every token was turned back; one that fell where the annotation says `str` was not."""
        return len(self._taken) == len(self._kept)

    def substitute(self, value: Any) -> Any:
        """Return what stands for an object in JSON, or a token for it."""
        if isinstance(value, Secret):
            raise _NoFormError
        return self._writer.substitute(value)

    def resolve(self, value: str) -> Any:
        """Return the path that a token stands for."""
        if value not in self._kept:
            message = "text is not a file; return a Path"
            raise FileFetchError(message)
        self._taken.add(value)
        return self._kept[value]

    def _keep(self, file: Any) -> str:
        if not isinstance(file, os.PathLike):
            raise _NoFormError
        token = f"servekit-output:{len(self._kept)}"
        self._kept[token] = file
        return token


_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 80
_repr.maxlist = _repr.maxtuple = _repr.maxdict = _repr.maxset = 4
_repr.maxlevel = 3


def _show(value: Any) -> str:
    """Return type and value for a message, shortened."""
    name = type(value).__qualname__
    if value is None:
        return "None"
    try:
        return f"{name} {_repr.repr(value)}"
    except Exception:  # noqa: BLE001 - the border to a repr of the author's; the type alone will do
        return name
