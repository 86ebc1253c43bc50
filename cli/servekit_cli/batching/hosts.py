"""What runs the rows of `servekit batch`: a project's workers here, a server, or a container."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import uvloop

from servekit.errors import SetupError
from servekit.jobs import PoolTarget, Target
from servekit.runtime.handle import WorkerHandle
from servekit.runtime.observer import PoolObserver
from servekit.runtime.targets import show_url
from servekit.spec import Spec, UploadSpec
from servekit_cli.batching.arguments import BatchArguments
from servekit_cli.batching.url_target import UrlTarget
from servekit_cli.hints import add_package_hint
from servekit_cli.running import inspect_model
from servekit_cli.schemas import Schema
from servekit_cli.terminal import show_progress

__all__ = ["Host", "LocalHost", "OpenHost", "UrlHost"]

_DEFAULT_SETUP_SECONDS: Final = 600.0
_DEFAULT_GRACE_SECONDS: Final = 30.0


@dataclass(frozen=True)
class OpenHost:
    """What runs rows, and is ready to.

    Attributes:
        target: Runs them.
        input_schema: Of a row; empty if that is not known.
        output_schema: Of an output.
    """

    target: Target
    input_schema: Schema
    output_schema: Schema


class Host(Protocol):
    """Where rows are run."""

    @property
    def name(self) -> str:
        """What a person knows it by."""
        ...

    @property
    def grace_seconds(self) -> float:
        """How long rows that run may take to end, once nobody wants more of them."""
        ...

    def open(self, write: Callable[[str], None]) -> AbstractAsyncContextManager[OpenHost]:
        """Make it ready, for as long as the block runs.

        Args:
            write: Takes what is printed there outside of predictions.
        """
        ...

    def fetch_schema(self) -> Schema:
        """Return the JSON Schema of the input, without running anything of a model's setup."""
        ...


@dataclass(frozen=True)
class LocalHost:
    """A project's workers on this machine.

    Attributes:
        spec: The project.
        python: The interpreter of its environment.
    """

    spec: Spec
    python: Path

    @property
    def name(self) -> str:
        """The predictor, as the spec names it."""
        return self.spec.predictor

    @property
    def grace_seconds(self) -> float:
        """As long as a server gives its predictions."""
        return self.spec.serve.shutdown_grace

    @asynccontextmanager
    async def open(self, write: Callable[[str], None]) -> AsyncGenerator[OpenHost]:
        """Start the workers.

        Raises:
            PredictorError: The spec names no predictor that can be used.
            SetupError: The predictor could not be made ready.
        """
        changes = {"isolation": "process", "tracebacks": True, "upload": UploadSpec()}  # files come here
        spec = self.spec.model_copy(update={"serve": self.spec.serve.model_copy(update=changes)})
        target = PoolTarget(spec, python=str(self.python), observer=_Printer(write))
        async with AsyncExitStack() as stack:
            try:
                with show_progress("Setting up the predictor"):
                    await stack.enter_async_context(target)
            except SetupError as error:
                raise add_package_hint(error) from None
            yield OpenHost(target, target.model.input_schema, target.model.output_schema)

    def fetch_schema(self) -> Schema:
        """Import the predictor, and ask it."""
        return inspect_model(self.spec, self.python).input_schema


@dataclass(frozen=True)
class UrlHost:
    """A server.

    Attributes:
        arguments: What the command said of it.
    """

    arguments: BatchArguments
    grace_seconds: float = _DEFAULT_GRACE_SECONDS

    @property
    def name(self) -> str:
        """Its URL, without what may be secret in it."""
        return show_url(str(self.arguments.url))

    @asynccontextmanager
    async def open(self, write: Callable[[str], None]) -> AsyncGenerator[OpenHost]:  # noqa: ARG002 - the interface
        """Reach it.

        Raises:
            UnreachableError: There is none, or it does not get ready in time.
            UsageError: It does not let us in.
            SetupError: Its model could not be set up.
        """
        target = self._make_target()
        async with AsyncExitStack() as stack:
            with show_progress(f"Waiting for {self.name}"):
                await stack.enter_async_context(target)
            yield OpenHost(target, *await target.fetch_schemas())

    def fetch_schema(self) -> Schema:
        """Ask it."""
        return uvloop.run(self._fetch_schema())

    async def _fetch_schema(self) -> Schema:
        async with self._make_target() as target:
            return (await target.fetch_schemas())[0]

    def _make_target(self) -> UrlTarget:
        arguments = self.arguments
        return UrlTarget(
            str(arguments.url),
            headers=arguments.read_headers(),
            concurrency=arguments.rows_concurrency,
            setup_seconds=arguments.setup_seconds() or _DEFAULT_SETUP_SECONDS,
        )


class _Printer(PoolObserver):
    """Shows what the predictor prints outside predictions, and why a worker is gone."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def worker_output(self, worker: WorkerHandle, source: str, text: str) -> None:  # noqa: ARG002 - the interface
        """Pass it to stderr, whichever of the two it was meant for."""
        self._write(text)
