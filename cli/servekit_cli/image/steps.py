"""A Dockerfile as data: what it does, step by step, before it is text."""

from dataclasses import dataclass
from typing import ClassVar

__all__ = [
    "Argument",
    "BindMount",
    "Block",
    "CacheMount",
    "Command",
    "Copy",
    "Dockerfile",
    "Entrypoint",
    "Environment",
    "Expose",
    "Healthcheck",
    "Label",
    "Mount",
    "Run",
    "Script",
    "SearchPath",
    "SecretMount",
    "Stage",
    "Step",
    "StopSignal",
    "User",
    "WorkingDirectory",
]


@dataclass(frozen=True)
class BindMount:
    """Files that are there during a step only: of the build context, or of another stage.

    Attributes:
        target: Where the step sees them.
        source: Where they are.
        stage: The stage that has them; None for the context.
        is_writable: Whether the step may write there; what it writes is thrown away.
    """

    target: str
    source: str
    stage: str | None = None
    is_writable: bool = False


@dataclass(frozen=True)
class CacheMount:
    """A folder that outlives the build; `is_locked` when only one build may use it at a time."""

    target: str
    is_locked: bool = False


@dataclass(frozen=True)
class SecretMount:
    """A secret of the build during a step only: at `target`, or at /run/secrets/ID."""

    id: str
    target: str | None = None


Mount = BindMount | CacheMount | SecretMount


@dataclass(frozen=True)
class Argument:
    """`ARG`: a value that the one who builds may set."""

    kind: ClassVar = "argument"
    name: str
    default: str | None = None


@dataclass(frozen=True)
class Environment:
    """`ENV`: variables of the steps behind it and of the container. Values are taken as they are, `$` included."""

    kind: ClassVar = "environment"
    variables: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class SearchPath:
    """`ENV PATH`: a folder in which programs are looked for first."""

    kind: ClassVar = "search_path"
    folder: str


@dataclass(frozen=True)
class Run:
    """`RUN`: commands for the shell, of one line each, all of which must succeed."""

    kind: ClassVar = "run"
    commands: tuple[str, ...]
    mounts: tuple[Mount, ...] = ()


@dataclass(frozen=True)
class Script:
    """`RUN` with text that the shell form would change or could not hold, such as several lines."""

    kind: ClassVar = "script"
    text: str
    mounts: tuple[Mount, ...] = ()


@dataclass(frozen=True)
class Copy:
    """`COPY`: files of the context, or of another stage.

    Attributes:
        source: A path without blanks.
        target: Likewise.
        stage: The stage that has them; None for the context.
        is_linked: Whether the layer stands by itself, so that it stays the same when those below it change.
        owner: Whose the files are; None for root's.
    """

    kind: ClassVar = "copy"
    source: str
    target: str
    stage: str | None = None
    is_linked: bool = False
    owner: str | None = None


@dataclass(frozen=True)
class User:
    """`USER`."""

    kind: ClassVar = "user"
    name: str


@dataclass(frozen=True)
class WorkingDirectory:
    """`WORKDIR`."""

    kind: ClassVar = "working_directory"
    path: str


@dataclass(frozen=True)
class Expose:
    """`EXPOSE`."""

    kind: ClassVar = "expose"
    port: int


@dataclass(frozen=True)
class Healthcheck:
    """`HEALTHCHECK`; failures within the first `start_period_seconds` do not count."""

    kind: ClassVar = "healthcheck"
    command: tuple[str, ...]
    interval_seconds: int
    timeout_seconds: int
    start_period_seconds: int


@dataclass(frozen=True)
class Entrypoint:
    """`ENTRYPOINT`."""

    kind: ClassVar = "entrypoint"
    command: tuple[str, ...]


@dataclass(frozen=True)
class Command:
    """`CMD`."""

    kind: ClassVar = "command"
    command: tuple[str, ...]


@dataclass(frozen=True)
class StopSignal:
    """`STOPSIGNAL`."""

    kind: ClassVar = "stop_signal"
    name: str


@dataclass(frozen=True)
class Label:
    """`LABEL`; the value is that of an argument instead where one is named."""

    kind: ClassVar = "label"
    name: str
    value: str = ""
    argument: str | None = None


Step = (
    Argument
    | Environment
    | SearchPath
    | Run
    | Script
    | Copy
    | User
    | WorkingDirectory
    | Expose
    | Healthcheck
    | Entrypoint
    | Command
    | StopSignal
    | Label
)


@dataclass(frozen=True)
class Block:
    """Steps that belong together, with the reason why they are here."""

    comment: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Stage:
    """`FROM`, and what is done on it."""

    image: str
    blocks: tuple[Block, ...]
    name: str | None = None
    comment: str = ""


@dataclass(frozen=True)
class Dockerfile:
    """A whole Dockerfile; the image is its last stage."""

    comment: str
    stages: tuple[Stage, ...]
    arguments: tuple[Argument, ...] = ()
