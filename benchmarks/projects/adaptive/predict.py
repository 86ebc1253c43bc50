"""Models whose throughput depends on how many predictions run at a time, each in another way."""

import asyncio
import time


class Computes:
    """Keeps one core busy, 4 ms for each prediction: more at a time only make each slower."""

    def predict(self) -> str:
        """Count until the thread has had 4 ms of the processor."""
        until = time.thread_time() + 0.004
        while time.thread_time() < until:
            pass
        return "done"


class Waits:
    """Asks something else that does 8 at a time, 30 ms each."""

    def setup(self) -> None:
        """Open the connections."""
        self.connections = asyncio.Semaphore(8)

    async def predict(self) -> str:
        """Wait for a connection, and use it."""
        async with self.connections:
            await asyncio.sleep(0.03)
        return "done"


class Batches:
    """Ten steps for each prediction; a step takes 4 ms and 0.5 ms more for each one that takes part, as on a GPU."""

    def setup(self) -> None:
        """Begin with nobody."""
        self.taking_part: set[asyncio.Event] = set()
        self.engine: asyncio.Task[None] | None = None

    async def predict(self) -> str:
        """Take part in ten steps."""
        stepped = asyncio.Event()
        self.taking_part.add(stepped)
        if self.engine is None or self.engine.done():
            self.engine = asyncio.create_task(self.run())
        try:
            for _ in range(10):
                await stepped.wait()
                stepped.clear()
        finally:
            self.taking_part.discard(stepped)
        return "done"

    async def run(self) -> None:
        """Do steps as long as anybody takes part."""
        while self.taking_part:
            batch = tuple(self.taking_part)
            await asyncio.sleep(0.004 + 0.0005 * len(batch))
            for stepped in batch:
                stepped.set()


class Changes:
    """Asks something else that does 6 at a time, and after a while 24, 30 ms each."""

    def setup(self) -> None:
        """Open the first connections."""
        self.connections = asyncio.Semaphore(6)
        self.is_larger = False

    async def predict(self, large: bool) -> str:
        """Wait for a connection, and use it."""
        if large and not self.is_larger:
            self.is_larger = True
            for _ in range(18):
                self.connections.release()
        async with self.connections:
            await asyncio.sleep(0.03)
        return "done"
