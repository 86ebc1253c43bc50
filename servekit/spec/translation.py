"""What a spec file of any kind says, in the words of servekit's own."""

from collections.abc import Mapping
from dataclasses import dataclass

from servekit.spec.faults import Location

__all__ = ["Notice", "Translation"]


@dataclass(frozen=True)
class Notice:
    """What the user should know of a field that can be used all the same.

    Attributes:
        location: The field.
        text: What there is to know.
    """

    location: Location
    text: str


@dataclass(frozen=True)
class Translation:
    """A file in the words of `Spec`.

    Attributes:
        values: The fields.
        notices: What could not be taken over, or is to be written in another way.
    """

    values: Mapping[str, object]
    notices: tuple[Notice, ...] = ()
