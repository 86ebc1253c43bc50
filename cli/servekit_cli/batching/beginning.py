"""How a job with a file of results begins: anew, or where an earlier one stopped."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import FileIO
from typing import Literal

from servekit.errors import UsageError
from servekit_cli.batching.done import DoneRows, drop_failed, scan_results
from servekit_cli.batching.journal import (
    Journal,
    ReadTally,
    check_unchanged,
    load_journal,
    read_counted,
    save_journal,
)
from servekit_cli.batching.places import OutputPlace
from servekit_cli.batching.records import Record, Source
from servekit_cli.batching.results_file import ResultsFile, lock_results
from servekit_cli.batching.stopping import Stop

__all__ = ["Beginning", "Manner", "begin"]

Manner = Literal["new", "force", "resume", "retry-failed"]
"""What to do with results that are there: refuse, replace them, go on, or go on and run failed rows again."""


@dataclass(frozen=True)
class Beginning:
    """A job with a file of results that is about to begin.

    Attributes:
        place: Where the results are.
        results: What writes them.
        done: The rows that have a result.
        source: The rows.
        journal: What an earlier job had read; None if there was none.
        tally: Counts what this one reads.
    """

    place: OutputPlace
    results: ResultsFile
    done: DoneRows
    source: Source
    journal: Journal | None
    tally: ReadTally

    def clear_if_empty(self) -> None:
        """Leave nothing behind of a job that came to nothing."""
        if self.place.lines.stat().st_size == 0:
            self.place.lines.unlink()
            self.place.journal.unlink(missing_ok=True)

    def rows_to_run(self, stop: Stop) -> Iterator[Record]:
        """Read the rows that are not done. None is given before those that an earlier job had read are checked.

        Args:
            stop: Ends them. What was read of a row by then is not a row, and is not counted.

        Raises:
            UsageError: The input is not what the job began with.
        """
        records = self.source.read()
        if self.journal is not None and self.source.can_repeat:
            check_unchanged(self.source, self.journal)
        elif self.journal is not None:
            # Those not done were under way when the job was killed, which are not many.
            yield from self._hold_back(records, self.journal, stop)
        for record in records:
            if stop.is_asked:
                return
            self.tally.add(record)
            if record.number not in self.done:
                yield record

    def _hold_back(self, records: Iterator[Record], journal: Journal, stop: Stop) -> list[Record]:
        """Return the rows that are not done of those that an earlier job had read, when all of these are checked."""
        try:
            return [record for record in read_counted(records, journal, self.tally) if record.number not in self.done]
        except UsageError:
            if stop.is_asked:  # so there are fewer
                return []
            raise


def begin(place: OutputPlace, source: Source, settings: str, manner: Manner) -> Beginning:
    """Open the results of a job.

    Args:
        place: Where they are.
        source: The rows.
        settings: Digest of what else decides what a row's input is.
        manner: What to do with results that are there.

    Raises:
        UsageError: There are results that may not be replaced, or that cannot be gone on with.
    """
    if manner == "new":
        _refuse_existing(place)
    elif manner == "retry-failed" and not source.can_repeat:
        raise UsageError(
            f"--retry-failed reads the rows twice, and {source.name} can be read once.\nSave it as a file."
        )
    if manner in {"resume", "retry-failed"}:
        _refuse_foreign(place)
    file = lock_results(place.lines)
    try:
        journal, done = None, DoneRows()
        if manner in {"resume", "retry-failed"}:
            journal = _load(place, settings)
            rows = 0 if journal is None else journal.rows
            file, done = _scan(place, file, rows, retries_failed=manner == "retry-failed")
        else:
            _remove_rest(place)
        tally = ReadTally()
        results = ResultsFile(file, done.size, _counting(place, source, settings, journal, tally))
    except BaseException:
        file.close()
        raise
    return Beginning(place, results, done, source, journal, tally)


def _refuse_existing(place: OutputPlace) -> None:
    for path in (place.lines, place.path):
        if not path.exists() or not path.stat().st_size:
            continue  # what is empty is nobody's loss
        if place.journal.exists():
            raise UsageError(
                f"{path} holds the results of a job that was begun before.\n"
                "Go on with it with --resume, run the rows again that failed with --resume --retry-failed, "
                "or begin anew with --force."
            )
        raise UsageError(f"{path} is there already.\nName another file with -o, or let it be replaced with --force.")


def _refuse_foreign(place: OutputPlace) -> None:
    if place.journal.exists():
        return
    for path in (place.lines, place.path):
        if not path.exists() or not path.stat().st_size:
            continue
        is_table = path != place.lines
        reason = "a table is not gone on with when it is complete" if is_table else "a job leaves one beside it"
        raise UsageError(
            f"{path} is there without {place.journal.name}: {reason}.\n"
            "There is nothing to resume. Name another file with -o, or let it be replaced with --force."
        )


def _load(place: OutputPlace, settings: str) -> Journal | None:
    journal = load_journal(place.journal)
    if journal is not None and journal.settings != settings:
        raise UsageError(
            "-i, --map, --ignore-unknown or --input-name are not as they were when the job began.\n"
            "Give them as before, or begin anew with --force."
        )
    return journal


def _scan(place: OutputPlace, file: FileIO, rows: int, *, retries_failed: bool) -> tuple[FileIO, DoneRows]:
    done = scan_results(place.lines, rows)
    if not retries_failed or not done.failed:
        return file, done
    drop_failed(place.lines)
    file.close()
    return lock_results(place.lines), scan_results(place.lines, rows)


def _remove_rest(place: OutputPlace) -> None:
    """Remove what an earlier job left; what its outputs had of files is replaced one by one."""
    place.journal.unlink(missing_ok=True)
    if place.is_table:
        place.path.unlink(missing_ok=True)


def _counting(
    place: OutputPlace, source: Source, settings: str, before: Journal | None, tally: ReadTally
) -> Callable[[], None]:
    """Make what brings the journal up to date before results are written."""

    def save() -> None:
        rows, digest = tally.snapshot()
        if before is not None and rows < before.rows:
            rows, digest = before.rows, before.digest  # what is done goes that far
        save_journal(place.journal, Journal(source.name, rows, digest, settings))

    return save
