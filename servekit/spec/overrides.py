"""Every `serve` field as a variable and as a flag, derived from the model; and the author's own settings.

A flag wins over a variable, and a variable over the file. In a project of another dialect the variables of that
dialect count as well, below servekit's own.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from servekit.errors import UsageError
from servekit.spec.cog.variables import read_cog_variables
from servekit.spec.faults import describe_expectation, mask_passwords
from servekit.spec.model import Dialect, Spec
from servekit.spec.section import Section
from servekit.spec.serve import ServeSpec
from servekit.spec.settings import read_settings
from servekit.spec.values import FROM_ENVIRONMENT

__all__ = ["Setting", "apply_overrides", "list_settings"]

_NOTHING = ("none", "null")
_FOREIGN_VARIABLES: Final[
    Mapping[Dialect, Callable[[Mapping[str, str]], tuple[Mapping[str, str], tuple[str, ...]]]]
] = {"cog": read_cog_variables}


@dataclass(frozen=True)
class Setting:
    """One field of `serve` and its two other names.

    Attributes:
        path: Where the field stands below `serve`, such as `("queue", "max")`.
        description: What it does, in one sentence.
        default: The value when nothing sets it, as it would be written in the file.
        is_switch: Whether it is a bool, whose flag takes no value.
        is_optional: Whether it may be nothing at all, written `none` in a variable and a flag.
        choices: The only values it may have, if they are few.
    """

    path: tuple[str, ...]
    description: str
    default: str
    is_switch: bool
    is_optional: bool
    choices: tuple[str, ...]

    @property
    def name(self) -> str:
        """The key under which `apply_overrides` takes the flag: `queue_max`."""
        return "_".join(self.path)

    @property
    def flag(self) -> str:
        """The flag of `servekit serve`: `--queue-max`."""
        return "--" + self.name.replace("_", "-")

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables, the strongest first: `SERVEKIT_QUEUE_MAX`."""
        own = f"SERVEKIT_{self.name.upper()}"
        # Platforms that run containers tell them their port this way.
        return (own, "PORT") if self.path == ("port",) else (own,)


def list_settings() -> tuple[Setting, ...]:
    """List every field of `serve` that a variable and a flag can set, in the order of the model."""
    return tuple(_walk(ServeSpec, ()))


def apply_overrides(spec: Spec, environ: Mapping[str, str], flags: Mapping[str, object] | None = None) -> Spec:
    """Give the spec with the values that variables and flags set.

    Args:
        spec: What the file says.
        environ: The environment; a variable that is empty counts as not set.
        flags: Values by `Setting.name`, as text or already of their kind; None counts as not given. Under
            `SET_FLAG` the author's own settings, as a list of `name=value`.

    Raises:
        UsageError: A value does not fit its field; the message names each variable and flag at fault. Or what is
            said of the author's own settings cannot be read.
    """
    environ, warnings = _translate_variables(spec.dialect, environ)
    values = spec.serve.model_dump()
    sources: dict[tuple[str, ...], str] = {}
    for setting in list_settings():
        found = _find_value(setting, environ, flags or {})
        if found is None:
            continue
        source, value = found
        sources[setting.path] = source
        _put(values, setting, value)
    try:
        serve = ServeSpec.model_validate(values, context=FROM_ENVIRONMENT)
    except ValidationError as error:
        raise UsageError(_describe(error, sources)) from None
    settings = {**spec.settings, **read_settings(environ, flags or {})}
    return spec.model_copy(update={"serve": serve, "settings": settings, "warnings": (*spec.warnings, *warnings)})


def _translate_variables(dialect: Dialect, environ: Mapping[str, str]) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Read the variables of a dialect as servekit's own; also gives what the user should know of them."""
    read = _FOREIGN_VARIABLES.get(dialect)
    return (environ, ()) if read is None else read(environ)


def _walk(model: type[Section], prefix: tuple[str, ...]) -> Iterator[Setting]:
    for name, info in model.model_fields.items():
        annotation = info.annotation
        if isinstance(annotation, type) and issubclass(annotation, Section):
            yield from _walk(annotation, (*prefix, name))
        else:
            yield _make_setting(info, (*prefix, name), model)


def _make_setting(info: FieldInfo, path: tuple[str, ...], model: type[Section]) -> Setting:
    assert info.description, f"serve.{'.'.join(path)} needs a description"
    assert info.default is not PydanticUndefined, f"serve.{'.'.join(path)} needs a default"
    written: Any = model().model_dump(mode="json")[path[-1]]
    return Setting(
        path=path,
        description=info.description,
        default={True: "true", False: "false", None: "none"}.get(written, str(written))
        if written is None or isinstance(written, bool)
        else str(written),
        is_switch=info.annotation is bool,
        is_optional=NoneType in get_args(info.annotation),
        choices=get_args(info.annotation) if get_origin(info.annotation) is Literal else (),
    )


def _find_value(setting: Setting, environ: Mapping[str, str], flags: Mapping[str, object]) -> tuple[str, object] | None:
    if (value := flags.get(setting.name)) is not None:
        return setting.flag, value
    for variable in setting.variables:
        if text := environ.get(variable):
            return variable, text
    return None


def _put(values: dict[str, Any], setting: Setting, value: object) -> None:
    for part in setting.path[:-1]:
        values = values[part]
    if setting.is_optional and isinstance(value, str) and value.lower() in _NOTHING:
        value = None
    values[setting.path[-1]] = value


def _describe(error: ValidationError, sources: Mapping[tuple[str, ...], str]) -> str:
    lines: list[str] = []
    for detail in error.errors():
        expected, remedy = describe_expectation(detail)
        path = tuple(str(part) for part in detail["loc"])
        name = sources.get(path, f"serve.{'.'.join(path)}")  # it stands in the file, and a variable contradicts it
        lines.append(f'{name} is "{mask_passwords(str(detail["input"]))}"; {expected}.\n  {remedy}')
    return "\n".join(lines)
