"""A row as it stands in the input, before anybody has looked at what is in it."""

from collections.abc import Iterator
from typing import Final, Protocol

import msgspec

__all__ = ["MAX_ROW_BYTES", "Record", "Source"]

MAX_ROW_BYTES: Final = 64_000_000
"""A longer row is refused, and passed over: a file of another kind may be one single line."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """One row of the input.

    Attributes:
        number: Counted from 1, in the order of the input.
        place: Where it stands, for a person: `line 12`, or the path of a file.
        content: The row as JSON; of one that could not be read, the text.
        texts: The cells of a row that knows no types, by name of the column; None for JSON.
        has_gaps: Whether null means that there is no value, as in a table.
        fault: Why it cannot be read; None if it can.
    """

    number: int
    place: str
    content: bytes
    texts: dict[str, str] | None = None
    has_gaps: bool = False
    fault: str | None = None


class Source(Protocol):
    """Where rows come from."""

    @property
    def name(self) -> str:
        """What a person knows it by."""
        ...

    @property
    def can_repeat(self) -> bool:
        """Whether it can be read more than once."""
        ...

    def read(self) -> Iterator[Record]:
        """Give the rows, from the first on.

        Raises:
            UsageError: It is not there, or of another kind than it was taken for.
        """
        ...

    def count(self) -> int | None:
        """Say about how many rows there are; None where that takes as long as reading them."""
        ...
