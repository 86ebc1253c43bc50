"""A container from its start to its removal.

Invariant: once `start` was called, `end` removes the container, whatever has happened in between, also
while `start` was still under way. The container is found by its name, which was chosen before it was made.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

from docker.errors import APIError

from servekit_cli.container.endings import End
from servekit_cli.container.removal import remove_container
from servekit_cli.container.request import ContainerRequest
from servekit_cli.container.starting import Connections, close_stream, start_container
from servekit_cli.container.threads import call_in_thread, in_loop, read_in_thread
from servekit_cli.container.waiting import wait_unless
from servekit_cli.engine import Engine

__all__ = ["LiveContainer"]

_START_SECONDS: Final = 60.0
_HURRIED_START_SECONDS: Final = 5.0
_LAST_OUTPUT_SECONDS: Final = 2.0


class LiveContainer:
    """One container. Belongs to one event loop.

    Args:
        engine: Where it runs.
        request: What it is.
        on_output: Takes what it prints, `stdout` or `stderr` and a piece of it, in a thread. What it does not
            take in time the engine holds back.
        grace_seconds: How long it may take to stop.

    Attributes:
        ended: Becomes its exit code; None when the engine went away before it could say.
        ran_out_of_memory: Whether something in it was killed for memory; it may go on.
    """

    def __init__(
        self,
        engine: Engine,
        request: ContainerRequest,
        on_output: Callable[[str, bytes], None],
        *,
        grace_seconds: float,
    ) -> None:
        self.ended: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self.ran_out_of_memory = False
        self._engine = engine
        self._request = request
        self._on_output = on_output
        self._grace_seconds = grace_seconds
        self._output_over = asyncio.Event()
        self._starting: asyncio.Future[Connections] | None = None

    async def start(self) -> int | None:
        """Make it and start it.

        Returns:
            Its port on the engine's host; None if it has ended already.

        Raises:
            EngineError: The engine went away.
            ServekitError: The engine refused.
        """
        self._starting = asyncio.ensure_future(self._start())
        connections = await asyncio.shield(self._starting)
        return connections.port

    async def wait_for_end(self) -> End | None:
        """Wait until it has ended, and all that it has printed was taken.

        Returns:
            How it ended; None when the engine went away before it could say.
        """
        code = await asyncio.shield(self.ended)
        await self._wait_for_output()
        return None if code is None else End(code, self.ran_out_of_memory)

    async def end(self, *, grace_seconds: float | None = None, hurry: asyncio.Event) -> None:
        """Ask it to stop, and remove it.

        Args:
            grace_seconds: How long it may take to stop, before it is killed; None: as long as it was made with.
            hurry: Once set, nothing is waited for any more.

        Raises:
            EngineError: The engine does not answer, or cannot be reached.
            ContainerError: The engine does not remove it.
        """
        connections = await self._finish_start(hurry)
        try:
            if connections is not None and not self.ended.done() and not hurry.is_set():
                await self._stop(self._grace_seconds if grace_seconds is None else grace_seconds, hurry)
            await call_in_thread(lambda: remove_container(self._engine, self._request.name))
        finally:
            if connections is not None:
                close_stream(connections.events)
                if connections.leash is not None:
                    connections.leash.close()

    async def _start(self) -> Connections:
        """Start it, and listen to it, whether or not anybody still waits for that."""
        connections = await call_in_thread(
            lambda: start_container(self._engine, self._request, grace_seconds=self._grace_seconds)
        )
        tell_over = in_loop(self._output_over.set)

        def end_output() -> None:
            close_stream(connections.output)  # the engine must not keep for us what nobody reads any more
            tell_over()

        read_in_thread(connections.output, self._take_output, end_output)
        read_in_thread(connections.events, in_loop(self._take_event), in_loop(self._lose_engine))
        return connections

    async def _finish_start(self, hurry: asyncio.Event) -> Connections | None:
        """Wait until the engine has made up its mind: what is still being made cannot be removed."""
        if self._starting is None:
            return None
        await wait_unless(hurry, self._starting, _START_SECONDS)
        await asyncio.wait({self._starting}, timeout=_HURRIED_START_SECONDS)
        return None if not self._starting.done() or self._starting.exception() else self._starting.result()

    async def _stop(self, grace_seconds: float, hurry: asyncio.Event) -> None:
        await call_in_thread(self._ask_to_stop)
        await wait_unless(hurry, self.ended, grace_seconds)
        if self.ended.done():
            await self._wait_for_output()

    async def _wait_for_output(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_OUTPUT_SECONDS):
                await self._output_over.wait()

    def _ask_to_stop(self) -> None:
        with self._engine.faults(), contextlib.suppress(APIError):  # it has just ended
            self._engine.client.api.kill(self._request.name, "SIGTERM")

    def _take_output(self, piece: tuple[bytes | None, bytes | None]) -> None:
        for source, data in zip(("stdout", "stderr"), piece, strict=True):
            if data:
                self._on_output(source, data)

    def _take_event(self, event: dict[str, Any]) -> None:
        if event.get("Action") == "oom":
            self.ran_out_of_memory = True
        elif event.get("Action") == "die" and not self.ended.done():
            attributes: dict[str, str] = event["Actor"]["Attributes"]
            # The second name is Podman's.
            self.ended.set_result(int(attributes.get("exitCode") or attributes["containerExitCode"]))

    def _lose_engine(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
