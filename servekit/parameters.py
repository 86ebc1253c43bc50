"""The parameters of a `predict` as one pydantic model: its JSON Schema, and inputs decoded into arguments.

The model's fields are called p0, p1, ... and carry the parameters' names as aliases, so that a
parameter may have any name, `json`, `schema` and `model_config` included.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import pydantic
from pydantic.fields import FieldInfo
from pydantic_core import SchemaError

from servekit.annotations import (
    CANNOT_BE_USED,
    WHAT_WORKS,
    SchemaGenerator,
    accepts_none,
    narrow,
    show_annotation,
    show_reason,
)
from servekit.errors import InputError, SignatureError
from servekit.misfits import expectation, explain_input
from servekit.predictor import REQUIRED, InputField
from servekit.problems import Redactor, schema_has
from servekit.reading import OWN, Reading
from servekit.scope import current_sink
from servekit.types import FileResolver

__all__ = ["InputDecoder", "Parameter", "read_parameters", "refuse_local_paths"]

FILE_FORMATS: Final = frozenset({"uri"})
_SHOWN_NAMES: Final = 20
_SHOWN_NAME: Final = 100
_LOCAL_PATH_FORMATS: Final = frozenset({"path", "file-path", "directory-path"})


@dataclasses.dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter, with the limits of its `Input` already in its annotation."""

    name: str
    annotation: Any
    default: Any
    field: InputField
    is_file: bool = False


def read_parameters(
    predict: Callable[..., Any], hints: Mapping[str, Any], where: str, reading: Reading = OWN
) -> list[Parameter]:
    """Read the parameters of a function that takes them by name, in the way of its dialect.

    Args:
        predict: The function.
        hints: Its annotations.
        where: What to name in a `SignatureError`.
        reading: The way of its dialect.

    Raises:
        SignatureError: A parameter cannot be used; the message names it, says why and what works.
    """
    return [_read_one(each, hints, where, reading) for each in inspect.signature(predict).parameters.values()]


class InputDecoder:
    """Decodes inputs for one list of parameters.

    Attributes:
        names: The parameters' names, in their order.
        schema: The JSON Schema of an input.
        has_secrets: Whether an input may hold a secret, at any depth.
        uses_files: Whether an input may name a file, at any depth.

    Args:
        parameters: What the function takes.
        where: What to name in a `SignatureError`.
        drops_unknown: Whether a name that it does not take is dropped, with a line in the log, and not refused.
    """

    def __init__(self, parameters: list[Parameter], where: str, *, drops_unknown: bool = False) -> None:
        self.names = [each.name for each in parameters]
        self._drops_unknown = drops_unknown
        model = _make_model([_check_alone(each, where) for each in parameters], "allow" if drops_unknown else "forbid")
        self.schema = _make_schema(model)
        self._redactor = Redactor(self.schema)
        self.has_secrets = self._redactor.has_secrets
        self.uses_files = schema_has(self.schema, FILE_FORMATS)
        self._validate = model.__pydantic_validator__.validate_json

    def decode(self, raw: bytes, files: FileResolver | None) -> dict[str, Any]:
        """Return the arguments for `predict`; see `Signature.decode_input`."""
        try:
            model = self._validate(raw, context={"files": files})
        except pydantic.ValidationError as error:
            raise InputError(explain_input(error, raw, self.names, self._redactor)) from error
        if self._drops_unknown and model.__pydantic_extra__:
            _tell_of_dropped(model.__pydantic_extra__)
        # pydantic fills a model in the order of its fields.
        return dict(zip(self.names, model.__dict__.values(), strict=True))


def _tell_of_dropped(names: Iterable[str]) -> None:
    sink = current_sink()
    if sink is not None:
        shown = ", ".join(name[:_SHOWN_NAME] for name in islice(names, _SHOWN_NAMES))
        sink.log("stderr", f"dropped what is no input of this predictor: {shown}\n")


def refuse_local_paths(schema: dict[str, Any], where: str) -> None:
    """Refuse pathlib.Path, which as an input would give a client every file of the machine."""
    if schema_has(schema, _LOCAL_PATH_FORMATS):
        message = (
            f"{where} uses pathlib.Path or one of its kin, which is a place on this machine, not a file's content; "
            "annotate it with servekit.Path"
        )
        raise SignatureError(message)


def _read_one(parameter: inspect.Parameter, hints: Mapping[str, Any], where: str, reading: Reading) -> Parameter:
    _refuse_unusable(parameter, hints, where)
    name = parameter.name
    place = f"{where}: parameter `{name}`"
    try:
        parameter, annotation = reading.parameter(parameter, hints[name])
        field = _find_field(parameter, annotation)
        annotation = narrow(annotation, field)
    except SignatureError as error:
        message = f"{place}: {error}"
        raise SignatureError(message) from error.__cause__
    return _with_none(name, annotation, field)


def _refuse_unusable(parameter: inspect.Parameter, hints: Mapping[str, Any], where: str) -> None:
    name = parameter.name
    place = f"{where}: parameter `{name}`"
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        message = f"{where}: `{parameter}` cannot be turned into inputs; name each input, with its annotation"
        raise SignatureError(message)
    if parameter.kind is parameter.POSITIONAL_ONLY:
        message = f"{place} is positional only, and inputs are passed by name; remove the `/`"
        raise SignatureError(message)
    if name not in hints and name == "self":
        message = (
            f"{where}: its first parameter is `self`, so it looks like a method; name its class instead, "
            "as in predict.py:Predictor, or remove `self`"
        )
        raise SignatureError(message)
    if name not in hints:
        message = f"{place} has no annotation; write `{name}: str`, or whatever it is ({WHAT_WORKS})"
        raise SignatureError(message)


def _find_field(parameter: inspect.Parameter, annotation: Any) -> InputField:
    """Return what `Input` says, wherever it stands: as the default, in `Annotated`, or nowhere."""
    default = REQUIRED if parameter.default is parameter.empty else parameter.default
    if isinstance(default, FieldInfo):
        message = "its default is a pydantic Field; use servekit.Input, or Annotated[..., Field(...)]"
        raise SignatureError(message)
    if isinstance(default, InputField):
        return default
    metadata = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    field = next((each for each in metadata if isinstance(each, InputField)), InputField())
    return field if default is REQUIRED else dataclasses.replace(field, default=default)


def _with_none(name: str, annotation: Any, field: InputField) -> Parameter:
    """Let None in where it is the default, and make it the default where it is let in."""
    default = field.default
    takes_none = accepts_none(annotation)
    if default is REQUIRED and takes_none:
        default = None
    elif default is None and not takes_none and annotation is not Any:
        annotation = annotation | None
    return Parameter(name, annotation, default, field)


def _check_alone(parameter: Parameter, where: str) -> Parameter:
    """Build the model of one parameter, so that what fails can be laid at its door.

    Returns:
        The parameter with its default as a value of its type.
    """
    place = f"{where}: parameter `{parameter.name}`"
    try:
        model = _make_model([parameter])
        schema = _make_schema(model)
    except CANNOT_BE_USED as error:
        message = (
            f"{place} is annotated {show_annotation(parameter.annotation)}, "
            f"which cannot be an input ({show_reason(error)}); {WHAT_WORKS}"
        )
        raise SignatureError(message) from error
    refuse_local_paths(schema, place)
    if schema_has(schema, FILE_FORMATS):
        # The default of a file may be a URL, which is fetched for each prediction that needs it, not here.
        return dataclasses.replace(parameter, is_file=True)
    if parameter.default is REQUIRED:
        return parameter
    return dataclasses.replace(parameter, default=_check_default(parameter, model, place))


def _check_default(parameter: Parameter, model: type[pydantic.BaseModel], place: str) -> Any:
    try:
        # Not by its attribute: that of a deprecated field warns.
        return model.__pydantic_validator__.validate_python({parameter.name: parameter.default}).__dict__["p0"]
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = expectation(first)[1]
        reason = first["msg"] if what is None else f"expected {what}"
        message = f"{place} has the default {parameter.default!r}, which does not fit: {reason}"
        raise SignatureError(message) from None


_Engine = Literal["rust-regex", "python-re"]
_Extra = Literal["allow", "forbid"]


def _make_model(parameters: list[Parameter], extra: _Extra = "forbid") -> type[pydantic.BaseModel]:
    try:
        return _make_model_with(parameters, extra, "rust-regex")
    except SchemaError:
        # Patterns that look around, which pydantic's own engine does not know.
        return _make_model_with(parameters, extra, "python-re")


def _make_model_with(parameters: list[Parameter], extra: _Extra, engine: _Engine) -> type[pydantic.BaseModel]:
    config = pydantic.ConfigDict(
        title="Input",
        extra=extra,
        allow_inf_nan=False,
        hide_input_in_errors=True,  # what leaves a worker in a traceback must not hold a secret
        regex_engine=engine,
        val_json_bytes="base64",
        ser_json_bytes="base64",
    )
    fields: dict[str, Any] = {
        f"p{order}": (parameter.annotation, _make_field(parameter, order)) for order, parameter in enumerate(parameters)
    }
    return pydantic.create_model("Input", __config__=config, **fields)


def _make_field(parameter: Parameter, order: int) -> Any:
    field = parameter.field
    is_required = parameter.default is REQUIRED
    return pydantic.Field(
        # pydantic gives each prediction its own copy of a list, a dict or a model.
        default=... if is_required else parameter.default,
        validate_default=parameter.is_file and not is_required,
        alias=parameter.name,
        title=parameter.name.replace("_", " ").strip().title(),
        description=field.description,
        deprecated=field.deprecated or None,
        examples=None if field.examples is None else list(field.examples),
        json_schema_extra={"x-order": order, **field.extensions},
    )


def _make_schema(model: type[pydantic.BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(schema_generator=SchemaGenerator)
    schema.setdefault("properties", {})
    schema.pop("description", None)
    if schema.get("additionalProperties") is True:
        del schema["additionalProperties"]  # that others are let pass is no invitation
    return schema
