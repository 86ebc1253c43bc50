"""What the command line said, read and checked before anything is started."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from pydantic_core import PydanticCustomError

from servekit.errors import UsageError
from servekit.jobs import parse_rate
from servekit.spec import SET_FLAG
from servekit.spec.units import parse_duration, parse_size
from servekit_cli.batching.beginning import Manner
from servekit_cli.batching.merging import MERGERS

__all__ = ["BatchArguments", "Merge"]

_STDOUT: Final = "-"
_STDIN: Final = "-"
_REPORTS: Final = (".json", ".html")

T = TypeVar("T")


@dataclass(frozen=True)
class Merge:
    """A file that is made of all results.

    Attributes:
        kind: One of `MERGERS`.
        path: Where it goes.
    """

    kind: str
    path: Path


@dataclass(frozen=True, kw_only=True)
class BatchArguments:
    """The arguments of `servekit batch`, as they were given; its help says what each means."""

    inputs: str
    output: str
    file: Path
    image: str | None
    url: str | None
    headers: Sequence[str]
    input_format: str | None
    values: Sequence[str]
    renames: Sequence[str]
    ignores_unknown: bool
    input_name: str | None
    has_input: bool
    is_ordered: bool
    resumes: bool
    retries_failed: bool
    is_forced: bool
    concurrency: str
    workers: str | None
    timeout: str | None
    retries: int
    rate: str | None
    token_rate: str | None
    tokens: str
    memory: str | None
    skip: int
    limit: int | None
    max_errors: int | None
    is_dry: bool
    reports: Sequence[str]
    merge: str | None
    is_quiet: bool
    set_values: list[str] | None
    setup_timeout: str | None
    env: list[str] | None
    env_file: list[Path] | None
    gpus: str | None
    volume: list[str] | None
    pull: bool

    def check(self) -> None:
        """Refuse what does not go together, and what cannot be read.

        Raises:
            UsageError: Something is of no use.
        """
        self._check_target()
        self._check_output()
        self.job_options()
        self.read_headers()
        self.read_renames()
        self.read_reports()
        self.read_merge()
        self.setup_seconds()

    @property
    def overrides(self) -> dict[str, object]:
        """What overrides the spec of a project or an image, by `Setting.name`."""
        return {"workers": self.workers, "setup_timeout": self.setup_timeout, SET_FLAG: self.set_values}

    @property
    def goes_to_stdout(self) -> bool:
        """Whether results are printed."""
        return self.output == _STDOUT

    @property
    def manner(self) -> Manner:
        """What to do with results that are there."""
        if self.is_forced:
            return "force"
        if self.resumes:
            return "retry-failed" if self.retries_failed else "resume"
        return "new"

    @property
    def rows_concurrency(self) -> int | None:
        """How many rows run at a time at most; None for as many as is best.

        Raises:
            UsageError: It is no such number.
        """
        if self.concurrency == "auto":
            return None
        if not self.concurrency.isdecimal() or int(self.concurrency) < 1:
            raise UsageError(f'--concurrency is "{self.concurrency}"; it is a number from 1, or auto.')
        return int(self.concurrency)

    def job_options(self) -> dict[str, Any]:
        """Return the options of `run_batch`.

        Raises:
            UsageError: One of them cannot be read.
        """
        timeout = None if self.timeout is None else _read("--timeout", self.timeout, parse_duration)
        if timeout == 0:
            raise UsageError("--timeout is 0, in which no row ends.\nLeave it out for no limit.")
        for flag, rate in (("--rate", self.rate), ("--token-rate", self.token_rate)):
            if rate is not None:
                _read(flag, rate, parse_rate)
        return {
            "concurrency": self.rows_concurrency or "auto",
            "timeout": timeout,
            "retries": self.retries,
            "rate": self.rate,
            "token_rate": self.token_rate,
            "tokens": self.tokens,
            "memory_limit": None if self.memory is None else _read("--memory", self.memory, _parse_positive_size),
            "ordered": self.is_ordered,
        }

    def setup_seconds(self) -> float | None:
        """Return how long setup may take.

        Raises:
            UsageError: It cannot be read.
        """
        return None if self.setup_timeout is None else _read("--setup-timeout", self.setup_timeout, parse_duration)

    def read_headers(self) -> dict[str, str]:
        """Return the headers for each request.

        Raises:
            UsageError: One of them is none.
        """
        headers: dict[str, str] = {}
        for text in self.headers:
            name, colon, value = text.partition(":")
            if not colon or not name.strip() or not text.isascii() or "\n" in text:
                shown = name if colon else "..."  # what comes after it may be a secret
                raise UsageError(f'--header wants "Name: value" in ASCII, and got "{shown}".')
            headers[name.strip()] = value.strip()
        return headers

    def read_renames(self) -> dict[str, str]:
        """Return the column of each input whose name is another.

        Raises:
            UsageError: One of them cannot be read, or a column is named twice.
        """
        renames: dict[str, str] = {}
        for text in self.renames:
            name, equals, column = (part.strip() for part in text.partition("="))
            if not equals or not name or not column:
                raise UsageError(f'--map wants INPUT=COLUMN, and got "{text}".\nWrite for example --map prompt=text.')
            if name in renames or column in renames.values():
                raise UsageError(f"--map {text} names what an earlier --map has named.\nGive each once.")
            renames[name] = column
        return renames

    def read_reports(self) -> list[Path]:
        """Return where reports go.

        Raises:
            UsageError: One of them is of no known kind, or cannot be written.
        """
        paths = [Path(name) for name in self.reports]
        for path in paths:
            if path.suffix.lower() not in _REPORTS:
                raise UsageError(f"--report names {path}; a report is .json or .html.")
            if not path.absolute().parent.is_dir() or path.is_dir():
                raise UsageError(
                    f"--report names {path}, which cannot be written.\nName a file in a folder that is there."
                )
        return paths

    def read_merge(self) -> Merge | None:
        """Return what is made of all results.

        Raises:
            UsageError: Nothing is known by that name, or results are printed.
        """
        if self.merge is None:
            return None
        kind, _, name = self.merge.partition("=")
        if kind not in MERGERS:
            raise UsageError(f'--merge is "{kind}"; known are {", ".join(MERGERS)}.')
        if self.goes_to_stdout:
            raise UsageError("--merge reads the results again, which are not kept.\nName a file for them with -o.")
        output = Path(self.output)
        return Merge(kind, Path(name) if name else output.with_name(f"{output.stem}{MERGERS[kind][1]}"))

    def digest(self) -> str:
        """Return a digest of what decides, beside the rows, what the input of a row is."""
        shaping = (sorted(self.values), sorted(self.renames), self.ignores_unknown, self.input_name)
        return hashlib.blake2b(msgspec.json.encode(shaping), digest_size=16).hexdigest()

    def _check_target(self) -> None:
        if self.image is not None and self.url is not None:
            raise UsageError("--image and --url are both given.\nRows are run in one place; give one of them.")
        if self.file != Path() and (self.image is not None or self.url is not None):
            raise UsageError("--file names a project, which --image and --url do without.\nGive one of them.")
        if self.headers and self.url is None:
            raise UsageError("--header is for requests to a server.\nName the server with --url.")
        if self.url is not None:
            self._refuse("--url", "the server is there already", workers=self.workers, env=self.env)
            self._refuse("--url", "the server is there already", env_file=self.env_file, set=self.set_values)
        if self.image is None:
            self._refuse("no --image", "there is no container", gpus=self.gpus, volume=self.volume, pull=self.pull)

    def _check_output(self) -> None:
        if self.is_forced and self.resumes:
            raise UsageError("--force begins anew, and --resume goes on.\nGive one of them.")
        if self.retries_failed and not self.resumes:
            raise UsageError("--retry-failed runs rows of an earlier run again.\nGive it together with --resume.")
        if self.resumes and self.goes_to_stdout:
            raise UsageError("--resume goes on with a file of results, and they go to stdout.\nName the file with -o.")
        if self.inputs == _STDIN and any(text.endswith("=@-") for text in self.values):
            raise UsageError(
                "The rows and an -i value both want stdin, which can be read once.\nGive the value as @FILE."
            )
        is_same = not self.goes_to_stdout and self.inputs != _STDIN and _is_same(self.inputs, self.output)
        if is_same:
            raise UsageError(f"-o names {self.output}, from which the rows come.\nName another file.")

    @staticmethod
    def _refuse(what: str, why: str, **flags: object) -> None:
        given = ["--" + name.replace("_", "-") for name, value in flags.items() if value]
        if given:
            raise UsageError(f"{' and '.join(given)} would have no effect with {what}: {why}.\nLeave it out.")


def _is_same(first: str, second: str) -> bool:
    paths = Path(first), Path(second)
    return all(path.exists() for path in paths) and paths[0].samefile(paths[1])


def _parse_positive_size(text: str) -> int:
    size = parse_size(text)
    if size == 0:
        raise UsageError("--memory is 0, with which no row could begin.\nLeave it out for no limit.")
    return size


def _read(flag: str, text: str, parse: Callable[[str], T]) -> T:
    try:
        return parse(text)
    except PydanticCustomError as error:
        context: Mapping[str, Any] = error.context or {}
        raise UsageError(f'{flag} is "{text}"; {error.message()}.\n{context.get("remedy", "")}') from None
    except UsageError as error:
        raise UsageError(str(error) if str(error).startswith("--") else f"{flag}: {error}") from None
