"""A class of settings as it was read: what values fit, and what requests may override."""

import dataclasses
import sys
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pydantic
from pydantic_core import to_json

from servekit.annotations import CANNOT_BE_USED
from servekit.configuration.fields import SettingField
from servekit.configuration.requests import FIXED, relocate
from servekit.errors import InputError, SettingsError
from servekit.misfits import expectation
from servekit.parameters import InputDecoder
from servekit.problems import schema_has, show, unknown
from servekit.types import MASK, Secret

__all__ = ["Declaration", "DeclaredSetting"]


@dataclasses.dataclass(frozen=True, slots=True)
class DeclaredSetting:
    """One setting.

    Attributes:
        name: What it is called.
        annotation: Its type, with the limits of its `Setting` in it.
        field: What `Setting` says.
        default: A value of the type, or `REQUIRED`.
        adapter: Checks values.
    """

    name: str
    annotation: Any
    field: SettingField
    default: Any
    adapter: pydantic.TypeAdapter[Any]

    def check(self, value: Any) -> Any:
        """Return a value as one of the type.

        Raises:
            SettingsError: It does not fit.
        """
        return self._fit(self.adapter.validate_python, value)

    def read(self, text: bytes) -> Any:
        """Return the value that `write` has written.

        Raises:
            SettingsError: It does not fit.
        """
        return self._fit(self.adapter.validate_json, text)

    def write(self, value: Any) -> bytes:
        """Return a value as JSON from which `read` makes the same value. Secrets are written as they are.

        Raises:
            SettingsError: JSON cannot hold it.
        """
        try:
            plain = self.adapter.dump_python(value, by_alias=True, warnings="none")
            text = to_json(plain, fallback=_reveal, inf_nan_mode="constants")
            is_whole = bool(self.read(text) == value)
        except Exception as error:  # the border to the author's types: how they are written, read and compared
            message = f"the setting {self.name} is of type {type(value).__name__}, which JSON cannot hold"
            raise SettingsError(message) from error
        if not is_whole:
            kind = type(value).__name__
            raise SettingsError(f"the setting {self.name} is of type {kind}, and would not be the same out of JSON")
        return text

    def _fit(self, validate: Callable[[Any], Any], value: Any) -> Any:
        try:
            return validate(value)
        except pydantic.ValidationError as error:
            details = error.errors(include_url=False)[0]
            place = "".join(f"[{part!r}]" for part in details["loc"] if not isinstance(part, str) or " " not in part)
            what = expectation(details)[1]
            wanted = details["msg"] if what is None else f"expected {what}"
            raise SettingsError(f"the setting {self.name}{place} is {self._show(details['input'])}; {wanted}") from None

    def _show(self, value: Any) -> str:
        try:
            is_secret = schema_has(self.adapter.json_schema(), frozenset({"password"}))
        except CANNOT_BE_USED:  # a class of the author's, which JSON cannot say
            is_secret = False
        if is_secret:
            return MASK
        try:
            return repr(value) if isinstance(value, float) else show(value)  # JSON has no infinity
        except TypeError:
            return f"of type {type(value).__name__}"


@dataclasses.dataclass(frozen=True, slots=True)
class Declaration:
    """All settings of one class.

    Attributes:
        where: The class, for messages.
        owner: The class itself.
        file: Where it is written, as far as that is known.
        fields: Its settings by name.
        defaults: Those that have one.
        overridable: Decodes what a request may override.
    """

    where: str
    owner: type
    file: str | None
    fields: Mapping[str, DeclaredSetting]
    defaults: Mapping[str, Any]
    overridable: InputDecoder

    def check(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return values as those of the declared types.

        Raises:
            SettingsError: A name is not declared or a value does not fit; the message has a line for each.
        """
        checked: dict[str, Any] = {}
        faults: list[str] = []
        for name, value in values.items():
            if name not in self.fields:
                faults.append(self.explain_absence(name))
                continue
            try:
                checked[name] = self.fields[name].check(value)
            except SettingsError as error:
                faults.append(str(error))
        if faults:
            raise SettingsError("\n".join(faults))
        return checked

    def read(self, name: str, text: bytes) -> Any:
        """Return a value that `write` has written, maybe that of another process.

        Raises:
            SettingsError: The name is not declared, or the value does not fit.
        """
        if name not in self.fields:
            raise SettingsError(self.explain_absence(name))
        return self.fields[name].read(text)

    def write(self, name: str, value: Any) -> bytes:
        """Return a value as JSON.

        Raises:
            SettingsError: JSON cannot hold it.
        """
        return self.fields[name].write(value)

    def keep_fitting(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of the values that fit."""
        kept: dict[str, Any] = {}
        for name, value in values.items():
            try:
                kept |= self.check({name: value})
            except SettingsError:
                continue
        return kept

    def read_fitting(self, texts: Mapping[str, bytes]) -> dict[str, Any]:
        """Return those of the values that fit, out of JSON."""
        kept: dict[str, Any] = {}
        for name, text in texts.items():
            try:
                kept[name] = self.read(name, text)
            except SettingsError:
                continue
        return kept

    def explain_absence(self, name: str) -> str:
        """Say why there is no value of a name."""
        if name in self.fields:
            return f"the setting {name} has no value yet; give it a default in {self.where}, or configure({name}=...)"
        return f"{self.where} has no setting {name}: {unknown([name], sorted(self.fields), None)['msg']}"

    def read_overrides(self, given: Any) -> dict[str, Any]:
        """Return what a request overrides, as values of the declared types.

        Raises:
            InputError: It does not fit; the problems are at `context.settings`.
        """
        try:
            values = self.overridable.decode(msgspec.json.encode(given), None)
        except InputError as error:
            raise InputError(relocate(error.problems, self.overridable.schema[FIXED])) from None
        return {name: values[name] for name in given}

    def continues(self, old: "Declaration") -> bool:
        """Whether this is the same class after a reload, or one derived from it, so that its values go on."""
        is_reloaded = self._has_name_of(old) and self.file == old.file
        return is_reloaded or issubclass(self.owner, old.owner)

    def may_replace(self, old: "Declaration") -> bool:
        """Whether the other class is gone, or this one stands for it."""
        is_gone = old.owner.__module__ not in sys.modules
        return is_gone or self._has_name_of(old) or issubclass(self.owner, old.owner)

    def _has_name_of(self, other: "Declaration") -> bool:
        mine, its = self.owner, other.owner
        return (mine.__module__, mine.__qualname__) == (its.__module__, its.__qualname__)


def _reveal(value: Any) -> str:
    """Write a secret as it is, and nothing else that pydantic cannot write."""
    if isinstance(value, Secret):
        return value.get_secret_value()
    raise TypeError(type(value).__name__)
