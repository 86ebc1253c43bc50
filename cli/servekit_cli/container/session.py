"""A container for the length of one command, whatever ends the command."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from servekit.errors import ServekitError
from servekit_cli.container.interrupts import Interrupts
from servekit_cli.container.life import LiveContainer
from servekit_cli.container.ownership import sweep
from servekit_cli.container.threads import call_in_thread
from servekit_cli.container.waiting import wait_unless
from servekit_cli.engine import Engine
from servekit_cli.terminal import say

__all__ = ["run_session"]

T = TypeVar("T")

_SWEEP_SECONDS = 5.0


async def run_session(
    engine: Engine,
    container: LiveContainer,
    work: Coroutine[Any, Any, T],
    on_interrupt: Callable[[Interrupts], T],
    *,
    cancel_grace_seconds: float,
) -> T:
    """Do some work with a container, and remove the container.

    The first signal cancels the work, and lets work and container end in order. The second one kills and
    removes the container at once.

    Args:
        engine: Where it runs.
        container: It has not been started; the work does that.
        work: What is to be done.
        on_interrupt: Called at the very end if there was a signal: returns or raises what the command ends with.
        cancel_grace_seconds: How long the work, and then the container, may take to end after a signal.

    Raises:
        ServekitError: The container could not be removed; or whatever the work raises.
    """
    with Interrupts() as interrupts:
        sweeping = call_in_thread(lambda: sweep(engine))
        working = asyncio.create_task(work)
        try:
            await _work_until_signal(working, interrupts, cancel_grace_seconds)
        finally:
            await _end(container, working, interrupts, cancel_grace_seconds)
            await asyncio.wait({sweeping}, timeout=_SWEEP_SECONDS)
            if sweeping.done():
                sweeping.exception()  # not worth a word: the next command sweeps as well
        if interrupts.first.is_set():
            return on_interrupt(interrupts)
        return working.result()


async def _work_until_signal(working: asyncio.Task[T], interrupts: Interrupts, grace_seconds: float) -> None:
    await wait_unless(interrupts.first, working)
    if not working.done():
        working.cancel()
        await wait_unless(interrupts.second, working, grace_seconds)


async def _end(
    container: LiveContainer, working: asyncio.Task[T], interrupts: Interrupts, cancel_grace_seconds: float
) -> None:
    is_interrupted = interrupts.first.is_set()
    try:
        await container.end(
            grace_seconds=cancel_grace_seconds if is_interrupted else None,
            hurry=interrupts.second if is_interrupted else interrupts.first,
        )
    except ServekitError as error:
        if is_interrupted or working.exception() is None:
            raise
        say(f"Note: {error}")  # what the work raised says more
    finally:
        working.cancel()
        await asyncio.wait({working})
