"""Runs a predictor of any kind on a loop; generators are gathered, so that one send carries what is there."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson

from benchmarks.peers.common import Predictor, load_predictor

__all__ = ["Engine"]

# Tokens of an async generator per send, before the loop may run others.
_MAX_GATHERED = 64


class Engine:
    """The predictor of the current folder."""

    def __init__(self) -> None:
        self._predictor: Predictor = load_predictor()
        self._threads = ThreadPoolExecutor(max_workers=64)
        self.is_stream = self._predictor.is_stream

    async def start(self) -> None:
        """Nothing is left to do once the predictor is loaded."""

    async def predict(self, body: bytes) -> bytes:
        """Run a prediction to its end and give the encoded answer."""
        values = orjson.loads(body)["input"]
        if self._predictor.is_async:
            output = await self._predictor.predict(**values)
        else:
            loop = asyncio.get_running_loop()
            output = await loop.run_in_executor(self._threads, lambda: self._predictor.predict(**values))
        return b'{"status":"succeeded","output":%b}' % orjson.dumps(output)

    def stream(self, body: bytes) -> AsyncIterator[bytes]:
        """Run a generator and give its events, as many at once as there are."""
        values = orjson.loads(body)["input"]
        return self._gather_async(values) if self._predictor.is_async else self._gather_thread(values)

    async def _gather_async(self, values: dict[str, Any]) -> AsyncIterator[bytes]:
        parts: list[bytes] = []
        index = 0
        loop = asyncio.get_running_loop()
        flush_at = loop.time()  # The first token goes out at once.
        async for item in self._predictor.predict(**values):
            parts.append(_encode_event(item, index))
            index += 1
            if len(parts) >= _MAX_GATHERED or loop.time() >= flush_at:
                yield b"".join(parts)
                parts.clear()
                await asyncio.sleep(0)
                flush_at = loop.time() + 0.001
        yield b"".join(parts)

    async def _gather_thread(self, values: dict[str, Any]) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        waiting: deque[bytes | None] = deque()
        wake = asyncio.Event()
        is_waking = False

        def produce() -> None:
            nonlocal is_waking
            for index, item in enumerate(self._predictor.predict(**values)):
                waiting.append(_encode_event(item, index))
                if not is_waking:
                    is_waking = True
                    loop.call_soon_threadsafe(wake.set)
            waiting.append(None)
            loop.call_soon_threadsafe(wake.set)

        producer = loop.run_in_executor(self._threads, produce)
        is_over = False
        while not is_over:
            await wake.wait()
            wake.clear()
            is_waking = False  # Before the queue is read, so that no item is left without a wake-up.
            parts: list[bytes] = []
            while waiting:
                part = waiting.popleft()
                is_over = part is None
                parts.append(part or b"")
            yield b"".join(parts)
        await producer


def _encode_event(chunk: object, index: int) -> bytes:
    return b'event: output\ndata: {"chunk":%b,"index":%d}\n\n' % (orjson.dumps(chunk), index)
