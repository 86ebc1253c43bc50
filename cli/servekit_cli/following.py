"""A prediction that runs, here or in a container, shown while it does."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from servekit.runtime.prediction import EventKind
from servekit_cli.outputs import Writer
from servekit_cli.terminal import Progress

__all__ = ["Event", "RunningPrediction", "follow"]

Event = tuple[EventKind, bytes]
"""What happened, and its data as the prediction keeps it."""


class RunningPrediction(Protocol):
    """A prediction that is on its way."""

    def events(self) -> AsyncIterator[Event]:
        """Give what it does, to its end."""
        ...

    async def cancel(self) -> None:
        """Ask it to stop; its events go on until it has."""


async def follow(prediction: RunningPrediction, writer: Writer | None, progress: Progress) -> None:
    """Hand on what a prediction does while it does it.

    An interrupt cancels the prediction and travels on at its end, so that what its clean-up code prints
    is seen; a second one travels on at once.

    Args:
        prediction: It is on its way.
        writer: Takes the items of a stream; None where the output is one value, written when it has succeeded.
        progress: Takes the logs; is stopped.
    """
    view = _View(writer, progress)
    showing = asyncio.create_task(view.show_all(prediction.events()))
    try:
        await asyncio.shield(showing)
    except asyncio.CancelledError:
        view.writer = None
        progress.update("Stopping")
        await prediction.cancel()
        await showing
        raise
    finally:
        showing.cancel()
        progress.stop()


class _View:
    def __init__(self, writer: Writer | None, progress: Progress) -> None:
        self.writer = writer
        self._progress = progress

    async def show_all(self, events: AsyncIterator[Event]) -> None:
        async for kind, data in events:
            if kind is EventKind.OUTPUT and self.writer is not None:
                self._progress.stop()
                self.writer.write_item(data)
            elif kind is EventKind.LOG:
                self._progress.write(msgspec.json.decode(data)["data"])
