"""A class of settings, read into types."""

import dataclasses
import inspect
import sys
import typing
import warnings
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, get_args, get_origin

import pydantic
from pydantic.errors import PydanticUserError
from pydantic.warnings import ArbitraryTypeWarning

from servekit.annotations import CANNOT_BE_USED, narrow, show_annotation, show_reason
from servekit.configuration.declaration import Declaration, DeclaredSetting
from servekit.configuration.fields import SettingField
from servekit.configuration.requests import FIXED
from servekit.errors import SettingsError, SignatureError
from servekit.parameters import InputDecoder, Parameter
from servekit.predictor import REQUIRED, InputField

__all__ = ["read_declaration"]


def read_declaration(owner: type) -> Declaration:
    """Read a class of settings. The defaults are taken off it: an instance must find the values of now.

    Raises:
        SettingsError: A setting has no annotation, its type cannot be used, or its default does not fit.
    """
    where = f"{owner.__module__}.{owner.__qualname__}"
    hints = _read_hints(owner, where)
    inherited: dict[str, DeclaredSetting] = {}
    for base in reversed(owner.__mro__[1:]):
        inherited |= vars(base).get(_FIELDS, {})
    own = {name: _read_one(name, hints.get(name), owner, where) for name in _own_names(owner, inherited, where)}
    fields = inherited | own
    for name in own:
        if name in vars(owner):
            delattr(owner, name)
    setattr(owner, _FIELDS, fields)
    defaults = {name: each.default for name, each in fields.items() if each.default is not REQUIRED}
    file = getattr(sys.modules.get(owner.__module__), "__file__", None)
    return Declaration(where, owner, file, fields, defaults, _make_decoder(fields, where))


_FIELDS: Final = "__servekit_settings__"


def _read_hints(owner: type, where: str) -> dict[str, Any]:
    try:
        return typing.get_type_hints(owner, include_extras=True)
    except (NameError, TypeError, SyntaxError, AttributeError) as error:
        message = f"{where}: an annotation cannot be read: {error}; names in it must exist when the module is imported"
        raise SettingsError(message) from error


def _own_names(owner: type, inherited: Mapping[str, DeclaredSetting], where: str) -> list[str]:
    """Return what a class declares itself, in the order it is written."""
    annotated = [name for name, hint in inspect.get_annotations(owner).items() if not _is_class_variable(hint)]
    assigned = [name for name, value in vars(owner).items() if _is_plain(name, value)]
    for name in assigned:
        if name not in annotated and name not in inherited and name not in inspect.get_annotations(owner):
            kind = type(vars(owner)[name]).__name__
            raise SettingsError(f"{where}.{name} has no annotation; write its type, as in `{name}: {kind} = ...`")
    names = list(dict.fromkeys([*annotated, *(name for name in assigned if name in inherited)]))
    for name in names:
        if name.startswith("_"):
            raise SettingsError(f"{where}.{name} begins with an underscore, which no setting may; rename it")
    return names


def _is_plain(name: str, value: object) -> bool:
    """Whether an attribute of a class is a value, and no method, property or part of the language."""
    is_of_language = name.startswith("__") and name.endswith("__")
    return not is_of_language and not isinstance(value, type) and not hasattr(value, "__get__")


def _is_class_variable(hint: Any) -> bool:
    text = hint if isinstance(hint, str) else ""
    return hint is ClassVar or get_origin(hint) is ClassVar or text.startswith(("ClassVar", "typing.ClassVar"))


def _read_one(name: str, annotation: Any, owner: type, where: str) -> DeclaredSetting:
    place = f"{where}.{name}"
    field = _find_field(vars(owner).get(name, REQUIRED), annotation, place)
    try:
        annotation = narrow(annotation, field)
        adapter = _make_adapter(annotation)
    except SignatureError as error:
        raise SettingsError(f"{place}: {error}") from error
    except CANNOT_BE_USED as error:
        message = f"{place} is annotated {show_annotation(annotation)}, which cannot be used: {show_reason(error)}"
        raise SettingsError(message) from error
    declared = DeclaredSetting(name, annotation, field, REQUIRED, adapter)
    if field.default is REQUIRED:
        return declared
    try:
        return dataclasses.replace(declared, default=declared.check(field.default))
    except SettingsError as error:
        raise SettingsError(f"{place}, its default: {error}") from None


def _find_field(default: Any, annotation: Any, place: str) -> SettingField:
    """Return what `Setting` says, wherever it stands: as the default, in `Annotated`, or nowhere."""
    if isinstance(default, SettingField):
        return default
    if isinstance(default, InputField):
        raise SettingsError(f"{place} is described by servekit.Input, which is for parameters; use servekit.Setting")
    metadata = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    field = next((each for each in metadata if isinstance(each, SettingField)), SettingField())
    return field if default is REQUIRED else dataclasses.replace(field, default=default)


def _make_adapter(annotation: Any) -> pydantic.TypeAdapter[Any]:
    config = pydantic.ConfigDict(arbitrary_types_allowed=True, allow_inf_nan=False)
    try:
        with warnings.catch_warnings():
            # pydantic takes what is no type at all for one that fits everything, and only warns.
            warnings.simplefilter("error", ArbitraryTypeWarning)
            return pydantic.TypeAdapter(annotation, config=config)
    except ArbitraryTypeWarning:
        raise TypeError("it is no type") from None
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":
            raise
        return pydantic.TypeAdapter(annotation)  # a model or a dataclass, which has a config of its own


def _make_decoder(fields: Mapping[str, DeclaredSetting], where: str) -> InputDecoder:
    chosen = [each for each in fields.values() if each.field.overridable]
    for each in chosen:
        if each.default is REQUIRED:
            raise SettingsError(f"{where}.{each.name} may be overridden, but not by every request; give it a default")
    try:
        decoder = InputDecoder(
            [Parameter(each.name, each.annotation, each.default, each.field) for each in chosen], where
        )
    except SignatureError as error:
        raise SettingsError(f"{error}\nAn overridable setting must be of a type that JSON can say") from error
    if decoder.uses_files:
        raise SettingsError(f"{where} lets requests override files; take a file as an input of predict instead")
    decoder.schema["title"] = "Settings"
    for shown in decoder.schema["properties"].values():
        shown.pop("default", None)  # a request that leaves it out gets what is configured, not what the class says
    decoder.schema[FIXED] = [name for name, each in fields.items() if not each.field.overridable]
    return decoder
