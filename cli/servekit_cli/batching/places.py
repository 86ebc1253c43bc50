"""Where a job's results go, and what stands beside them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from servekit.errors import UsageError

__all__ = ["OutputPlace", "files_beside_stdout", "find_place"]

OutputFormat = Literal["jsonl", "csv", "tsv", "parquet"]

_FORMATS: Final[dict[str, OutputFormat]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}


@dataclass(frozen=True)
class OutputPlace:
    """The files of one job.

    A table can only be written when all its columns are known, so that results are gathered as lines of JSON first.

    Attributes:
        path: What `-o` names.
        format: Of that file.
    """

    path: Path
    format: OutputFormat

    @property
    def lines(self) -> Path:
        """Where results are appended as they come; the same file, unless that is a table."""
        return self.path if self.format == "jsonl" else self.path.with_name(f"{self.path.name}.part.jsonl")

    @property
    def journal(self) -> Path:
        """What `--resume` needs to know."""
        return self.path.with_name(f"{self.path.name}.journal")

    @property
    def files(self) -> Path:
        """The folder for the files of outputs."""
        return self.path.with_name(f"{self.path.stem}.files")

    @property
    def is_table(self) -> bool:
        """Whether it is written at the end, from the lines."""
        return self.format != "jsonl"


def find_place(name: str) -> OutputPlace:
    """Find out what `-o` names.

    Raises:
        UsageError: No results can be written there.
    """
    path = Path(name)
    if path.is_dir():
        raise UsageError(f"-o names {name}, which is a folder.\nName a file in it, such as {path / 'results.jsonl'}.")
    if path.exists() and not path.is_file():
        raise UsageError(f"-o names {name}, which is no regular file.\nName one, or leave -o out to write to stdout.")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"-o names {name}, and there is no folder {path.parent}.\nMake it, or correct the path.")
    try:
        return OutputPlace(path, _FORMATS[path.suffix.lower()])
    except KeyError:
        raise UsageError(
            f"-o names {name}, whose extension is none of {', '.join(_FORMATS)}.\nGive the file one of them."
        ) from None


def files_beside_stdout() -> Path:
    """Return the folder for the files of outputs that are printed."""
    return Path("output.files")
