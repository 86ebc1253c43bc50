"""A task that would go on for ever and shields what it waits for."""

import asyncio
import os
from pathlib import Path


async def predict(how: str = "neighbour") -> int:
    Path(f"begun-{how}").touch()
    if how == "shields_itself":
        await stay()
    while not Path("gate").exists():
        await asyncio.sleep(0.01)
    return os.getpid()


async def stay() -> None:
    work = asyncio.create_task(asyncio.sleep(600))
    while not work.done():
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            pass
