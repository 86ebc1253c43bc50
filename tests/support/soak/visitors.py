"""Clients of many tempers: patient, streaming, polling, canceling, and those that leave in the middle."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from soak.wire import Answer, Request, exchange, opened, read_events

__all__ = ["FINAL", "Visit", "Visitor"]

FINAL = ("succeeded", "failed", "canceled")

_WHATS = {"quick": 700, "fail": 80, "slow": 80, "large": 80, "late": 5, "stuck": 2}
_EVENTS = "Accept: text/event-stream"
_ASYNC = "Prefer: respond-async"


@dataclass
class Visit:
    """One request and what came of it.

    Attributes:
        id: The prediction's id, which no other visit has.
        way: How the client behaved.
        what: What the predictor was asked to do.
        ending: A final status, "refused" (503), or "left" when the client did not wait for it.
        seconds: From the request to the final answer.
        faults: What must not be.
    """

    id: str
    way: str
    what: str
    ending: str = ""
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list[str])


class Visitor:
    """One client after the other, with the dice of its own.

    Args:
        address: Where the server listens.
        dice: Decides what it does.
        limit_seconds: How long a final answer may take.
    """

    def __init__(self, address: tuple[str, int], dice: Random, limit_seconds: float) -> None:
        self._address = address
        self._dice = dice
        self._limit = limit_seconds
        self._ways: dict[Callable[[Visit], Awaitable[str]], int] = {
            self._wait: 40,
            self._stream: 25,
            self._poll: 10,
            self._cancel: 10,
            self._leave: 15,
        }

    async def make(self, name: str) -> Visit:
        """Make one visit, and say what came of it."""
        (way,) = self._dice.choices(list(self._ways), list(self._ways.values()))
        (what,) = self._dice.choices(list(_WHATS), list(_WHATS.values()))
        visit = Visit(name, way.__name__.strip("_"), what)
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._limit + 30):
                visit.ending = await way(visit)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            visit.ending = "fault"
            visit.faults.append(f"{visit.way} {visit.what}: {error!r}")
        visit.seconds = time.monotonic() - started
        if visit.seconds > self._limit:
            visit.faults.append(f"{visit.way} {visit.what}: the final answer took {visit.seconds:.1f} s")
        if visit.ending == "refused":
            await asyncio.sleep(self._dice.uniform(0.5, 1))  # about as it was asked to
        return visit

    # ------------------------------------------------------------------ ways

    async def _wait(self, visit: Visit) -> str:
        answer = await exchange(self._address, _put(visit))
        return _ending_of(visit, answer)

    async def _stream(self, visit: Visit) -> str:
        answer = await exchange(self._address, _put(visit, _EVENTS))
        if answer.status != 200:
            return _ending_of(visit, answer)
        return _check_events(visit, read_events(answer.body))

    async def _poll(self, visit: Visit) -> str:
        answer = await exchange(self._address, _put(visit, _ASYNC))
        if answer.status not in (200, 202):
            return _ending_of(visit, answer)
        return await self._until_final(visit)

    async def _cancel(self, visit: Visit) -> str:
        answer = await exchange(self._address, _put(visit, _ASYNC))
        if answer.status not in (200, 202):
            return _ending_of(visit, answer)
        await asyncio.sleep(self._dice.choice((0, 0, 0.001, 0.01, 0.1)))
        canceled = await exchange(self._address, Request("POST", f"/predictions/{visit.id}/cancel"))
        if canceled.status != 200:
            visit.faults.append(f"a cancel was answered {canceled.status}: {canceled.body[:200]!r}")
        return await self._until_final(visit)

    async def _leave(self, visit: Visit) -> str:
        """Go at any moment: in the head, in the body, while it waits or runs, in the stream, in the answer."""
        request = _put(visit, self._dice.choice((_EVENTS, "X-Way: leave")))
        data = request.head + request.body
        stage = self._dice.choice(("head", "body", "at once", "later", "first bytes"))
        async with opened(self._address) as (reader, writer):
            match stage:
                case "head":
                    writer.write(data[: self._dice.randrange(len(request.head))])
                case "body":
                    writer.write(data[: self._dice.randrange(len(request.head), len(data))])
                case _:
                    writer.write(data)
            await writer.drain()
            if stage == "later":
                await asyncio.sleep(self._dice.uniform(0, 0.2))
            elif stage == "first bytes":
                await reader.read(100)
        return "left"

    # ------------------------------------------------------------------ inside

    async def _until_final(self, visit: Visit) -> str:
        while True:
            answer = await exchange(self._address, Request("GET", f"/predictions/{visit.id}"))
            if answer.status != 200:
                visit.faults.append(f"a poll was answered {answer.status}: {answer.body[:200]!r}")
                return "fault"
            status = answer.json()["status"]
            if status in FINAL:
                break
            await asyncio.sleep(self._dice.uniform(0.02, 0.1))
        again = (await exchange(self._address, Request("GET", f"/predictions/{visit.id}"))).json()
        if again != answer.json():
            visit.faults.append(f"it changed after its end: {status} became {again['status']}")
        return str(status)


def _put(visit: Visit, *headers: str) -> Request:
    body = json.dumps({"input": {"what": visit.what}}).encode()
    return Request("PUT", f"/predictions/{visit.id}", body, ("Content-Type: application/json", *headers))


def _ending_of(visit: Visit, answer: Answer) -> str:
    if answer.status == 503:
        if int(answer.headers.get("retry-after", "0")) < 1:
            visit.faults.append("a 503 came without Retry-After")
        return "refused"
    status = answer.json().get("status") if answer.status == 200 else None
    if status not in FINAL:
        visit.faults.append(f"{visit.way}: answered {answer.status} {answer.body[:200]!r}")
        return "fault"
    if status == "succeeded" and visit.what in ("fail", "late", "stuck"):
        visit.faults.append(f"{visit.what} succeeded")
    return str(status)


def _check_events(visit: Visit, events: list[tuple[int, str, Any]]) -> str:
    if [number for number, _, _ in events] != list(range(len(events))):
        visit.faults.append(f"the events are numbered {[number for number, _, _ in events]}")
    names = [name for _, name, _ in events]
    if names.count("completed") != 1 or names[-1] != "completed":
        visit.faults.append(f"the stream has not one end: {names[-5:]}")
        return "fault"
    return str(events[-1][2]["status"])
