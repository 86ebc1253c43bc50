"""What the first argument of `servekit batch` names, opened as rows."""

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, cast

from servekit.errors import UsageError
from servekit_cli.batching.csv_table import read_csv
from servekit_cli.batching.folder import read_folder, walk
from servekit_cli.batching.json_list import read_json_list
from servekit_cli.batching.jsonl import read_jsonl
from servekit_cli.batching.parquet import count_parquet, load_pyarrow, read_parquet
from servekit_cli.batching.records import Record, Source
from servekit_cli.batching.stopping import Stop, StoppableStream

__all__ = ["INPUT_FORMATS", "open_source"]

INPUT_FORMATS: Final = ("jsonl", "json", "csv", "tsv", "parquet", "folder")
_BY_EXTENSION: Final = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
_STDIN: Final = "-"
_GZIP: Final = b"\x1f\x8b"
_HEAD_BYTES: Final = 1024
_PIECE: Final = 1 << 20
_UNREADABLE: Final = (OSError, EOFError, zlib.error)
"""What is raised by a file that cannot be read on, compressed or not."""

_MAX_COUNTED_BYTES: Final = 1 << 30
"""Lines are counted ahead, for the time that is left, in files up to this size: about a second. By feel."""

_ReadStream = Callable[[IO[bytes], str], Iterator[Record]]
_READERS: Final[Mapping[str, _ReadStream]] = {
    "jsonl": lambda stream, _: read_jsonl(stream),
    "json": read_json_list,
    "csv": lambda stream, name: read_csv(stream, name, ","),
    "tsv": lambda stream, name: read_csv(stream, name, "\t"),
}


def open_source(place: str, given_format: str | None, find_input: Callable[[], str], stop: Stop) -> Source:
    """Find out what holds the rows.

    Args:
        place: A file, a folder, or `-` for stdin.
        given_format: What `--format` says; else the extension says it, and stdin has lines of JSON.
        find_input: Names the input that gets the files of a folder; called when the first of them is read.
        stop: Ends the wait for what nobody may ever write.

    Raises:
        UsageError: It is not there, or its format is not known.
    """
    if given_format is not None and given_format not in INPUT_FORMATS:
        raise UsageError(f'--format is "{given_format}"; known are {", ".join(INPUT_FORMATS)}.')
    if place == _STDIN:
        return _Stdin(_check_stream_format(given_format or "jsonl"), stop)
    path = Path(place)
    if not path.exists():
        raise UsageError(f"{place} does not exist.\nName the file or the folder with the rows, or - for stdin.")
    if path.is_dir():
        return _open_folder(path, given_format, find_input)
    if given_format == "folder":
        raise UsageError(f"{place} is no folder.\nLeave --format out, or name a folder.")
    file_format = given_format or _guess_format(path)
    if file_format == "parquet":
        load_pyarrow()
        return _Parquet(path)
    return _TextFile(path, file_format)


def _guess_format(path: Path) -> str:
    extension = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    try:
        return _BY_EXTENSION[extension.lower()]
    except KeyError:
        raise UsageError(
            f"{path} has no extension that tells what is in it; known are {', '.join(_BY_EXTENSION)}.\n"
            f"Say it: --format {' or '.join(INPUT_FORMATS[:-1])}"
        ) from None


def _check_stream_format(name: str) -> str:
    if name not in _READERS:
        raise UsageError(f"--format {name} cannot be read from stdin.\nSave it as a file, and name that.")
    return name


def _open_folder(path: Path, given_format: str | None, find_input: Callable[[], str]) -> Source:
    if given_format not in {None, "folder"}:
        raise UsageError(f"{path} is a folder, and --format says {given_format}.\nName a file in it.")
    return _Folder(path, find_input)


@dataclass(frozen=True)
class _TextFile:
    path: Path
    format: str
    can_repeat: bool = True

    @property
    def name(self) -> str:
        return str(self.path)

    def read(self) -> Iterator[Record]:
        with _explained(self.name), self._open() as stream:
            _refuse_binary(stream, self.name)
            yield from _READERS[self.format](cast("IO[bytes]", stream), self.name)

    def count(self) -> int | None:
        """Count the lines, about one a row."""
        if self.format == "json" or self.path.stat().st_size > _MAX_COUNTED_BYTES:
            return None
        try:
            with self._open() as stream:
                lines = sum(piece.count(b"\n") for piece in iter(lambda: stream.read(_PIECE), b""))
        except _UNREADABLE:
            return None  # the rows before the damage are run; reading them says what is wrong
        return lines - (self.format != "jsonl")

    def _open(self) -> io.BufferedReader:
        with self.path.open("rb") as file:
            is_compressed = file.read(len(_GZIP)) == _GZIP
        if not is_compressed:
            return self.path.open("rb")
        return io.BufferedReader(gzip.open(self.path), _PIECE)  # pyright: ignore[reportArgumentType] # it is what a reader reads from


@dataclass(frozen=True)
class _Stdin:
    format: str
    stop: Stop
    name: str = "stdin"
    can_repeat: bool = False

    def read(self) -> Iterator[Record]:
        with _explained(self.name):
            stream = io.BufferedReader(StoppableStream(sys.stdin.fileno(), self.stop), _PIECE)
            yield from _READERS[self.format](stream, self.name)

    def count(self) -> None:
        return None


@dataclass(frozen=True)
class _Parquet:
    path: Path
    can_repeat: bool = True

    @property
    def name(self) -> str:
        return str(self.path)

    def read(self) -> Iterator[Record]:
        with _explained(self.name):
            yield from read_parquet(self.path)

    def count(self) -> int:
        return count_parquet(self.path)


@dataclass(frozen=True)
class _Folder:
    path: Path
    find_input: Callable[[], str]
    can_repeat: bool = True

    @property
    def name(self) -> str:
        return str(self.path)

    def read(self) -> Iterator[Record]:
        with _explained(self.name):
            yield from read_folder(self.path, self.find_input())

    def count(self) -> int | None:
        try:
            return sum(1 for _ in walk(self.path))
        except _UNREADABLE:
            return None


@contextmanager
def _explained(name: str) -> Generator[None]:
    """Say which input it was that could not be read on.

    Raises:
        UsageError: In place of what the system or a format says.
    """
    try:
        yield
    except _UNREADABLE as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{name} cannot be read: {reason}.\nMend or replace it, and go on with --resume.") from error


def _refuse_binary(stream: io.BufferedReader, name: str) -> None:
    """Raise for what is no text, of which every piece between two line feeds would be a row."""
    head = stream.peek(_HEAD_BYTES)[:_HEAD_BYTES]
    if b"\0" in head:
        kind = " UTF-16," if head[:2] in {b"\xff\xfe", b"\xfe\xff"} else ""
        raise UsageError(f"{name} is{kind} no UTF-8 text.\nSave it as UTF-8, or say what it is with --format.")
