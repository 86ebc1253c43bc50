"""What an author says about one setting beside its type."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from servekit.predictor import REQUIRED, InputField

__all__ = ["Setting", "SettingField"]


@dataclasses.dataclass(frozen=True, slots=True)
class SettingField(InputField):
    """What `Setting(...)` says: all that `Input(...)` can, and whether a request may override it."""

    overridable: bool = False


def Setting(  # noqa: N802 - reads as a declaration, as `Input` does
    default: Any = REQUIRED,
    *,
    overridable: bool = False,
    description: str | None = None,
    ge: float | None = None,
    le: float | None = None,
    gt: float | None = None,
    lt: float | None = None,
    min_length: int | None = None,
    max_length: int | None = None,
    regex: str | None = None,
    choices: Iterable[Any] | None = None,
    examples: Sequence[Any] | None = None,
) -> Any:
    """Describe and limit one setting, as the default of its annotation or in `Annotated`.

    Args:
        default: The value until another is configured. Without it the setting has none, and reading it raises.
        overridable: Whether a request may set it for its own prediction, as `{"context": {"settings": {...}}}`.
        description: What it does, for people.
        ge: A number must be at least this.
        le: A number must be at most this.
        gt: A number must be greater than this.
        lt: A number must be less than this.
        min_length: The least number of characters or items.
        max_length: The greatest number of characters or items.
        regex: A pattern that must be found in the text; anchor it with `^` and `$` to match all of it.
        choices: The only values allowed.
        examples: Values shown in the schema.

    Returns:
        The declaration. It is typed `Any`, so that `temperature: float = Setting(0.7)` passes a type checker.
    """
    return SettingField(
        default=default,
        overridable=overridable,
        description=description,
        ge=ge,
        le=le,
        gt=gt,
        lt=lt,
        min_length=min_length,
        max_length=max_length,
        regex=regex,
        choices=None if choices is None else tuple(choices),
        examples=examples,
    )
