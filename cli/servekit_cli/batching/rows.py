"""A row of a batch job, with what the command line knows of it beside its input."""

from collections.abc import Iterator

from servekit.jobs import Row
from servekit_cli.batching.fitting import RowFitter
from servekit_cli.batching.records import Record

__all__ = ["InputRow", "fit_rows"]


class InputRow(Row, frozen=True, gc=False):
    """A row that was read from a file.

    Attributes:
        shown: The input as results show it, as JSON.
    """

    shown: bytes = b"null"


def fit_rows(records: Iterator[Record], fitter: RowFitter) -> Iterator[InputRow]:
    """Make rows of what was read; one that does not fit has its fault in it, and the others go on."""
    for record in records:
        fitted = fitter.fit(record)
        yield InputRow(
            record.number,
            fitted.raw,
            record.place,
            fitted.fault,
            fitted.fault_kind,
            fitted.uploads,
            is_checked=True,  # by the schema that the host gave
            shown=fitted.shown,
        )
