"""`Input(...)`, as the code of a Cog project calls it."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["FieldInfo", "Input"]


@dataclasses.dataclass(frozen=True)
class FieldInfo:
    """What `Input(...)` says about one parameter.

    A default of None does not tell whether one was given. For most inputs both mean that there is none;
    where it makes a difference, `has_default` tells.
    """

    default: Any = None
    description: str | None = None
    ge: float | None = None
    le: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    regex: str | None = None
    choices: Sequence[str | int] | None = None
    deprecated: bool | None = None
    accept: str | None = None
    has_default: bool = dataclasses.field(default=False, repr=False, compare=False)


def Input(  # noqa: N802 - the name that authors know
    default: Any = ...,
    *,
    default_factory: Callable[..., Any] | None = None,
    description: str | None = None,
    ge: float | None = None,
    le: float | None = None,
    min_length: int | None = None,
    max_length: int | None = None,
    regex: str | None = None,
    choices: Sequence[str | int] | None = None,
    deprecated: bool | None = None,
    accept: str | None = None,
) -> Any:
    """Describe and limit one parameter of `run`.

    Args:
        default: The value when none is given. None makes only what is annotated `Optional`, or a `Secret`, optional.
        default_factory: Not supported, as in Cog.
        description: What the input does, for people.
        ge: A number must be at least this.
        le: A number must be at most this.
        min_length: The least number of characters or items.
        max_length: The greatest number of characters or items.
        regex: A pattern that must be found in the text.
        choices: The only values allowed.
        deprecated: Shown in the schema; the input still works.
        accept: For a file: media types or extensions, as HTML's `accept` has them. Shown in the schema, not checked.

    Raises:
        TypeError: There is a `default_factory`.
    """
    if default_factory is not None:
        message = (
            "default_factory is not supported in Input(): write Input(default=...) with a literal value, "
            "and make what is mutable in run()"
        )
        raise TypeError(message)
    return FieldInfo(
        default=None if default is ... else default,
        description=description,
        ge=ge,
        le=le,
        min_length=min_length,
        max_length=max_length,
        regex=regex,
        choices=choices,
        deprecated=deprecated,
        accept=accept,
        has_default=default is not ...,
    )
