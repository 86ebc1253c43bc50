"""The predictors of the soak: one for each kind of `predict`. Each notes in a ledger which prediction it runs."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator

from servekit import current_scope

_LEDGER = os.open(os.environ["SOAK_LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
_PAUSES = {"slow": 0.3, "late": 60.0}
_LARGE = "x" * 300_000


def _begin(what: str) -> None:
    scope = current_scope()
    os.write(_LEDGER, f"{scope.id}\n".encode())
    scope.log(f"begun {what}")
    (scope.temp_dir / "scratch").write_text(what)
    if what == "fail":
        raise RuntimeError("told to")
    if what == "stuck":
        time.sleep(60)  # in an `async def` this holds up the whole worker


def _text(what: str) -> str:
    return _LARGE if what == "large" else what


class SyncValue:
    def predict(self, what: str = "quick") -> str:
        _begin(what)
        time.sleep(_PAUSES.get(what, 0.002))
        return _text(what)


class SyncStream:
    def predict(self, what: str = "quick") -> Iterator[str]:
        _begin(what)
        for number in range(20):
            time.sleep(_PAUSES.get(what, 0.002) / 10)
            yield f"{number} {_text(what)[:15_000]}"


class AsyncValue:
    async def predict(self, what: str = "quick") -> str:
        _begin(what)
        await asyncio.sleep(_PAUSES.get(what, 0.002))
        return _text(what)


class AsyncStream:
    async def predict(self, what: str = "quick") -> AsyncIterator[str]:
        _begin(what)
        for number in range(20):
            await asyncio.sleep(_PAUSES.get(what, 0.002) / 10)
            yield f"{number} {_text(what)[:15_000]}"
