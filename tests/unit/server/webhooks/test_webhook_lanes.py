"""Whose turn it is."""

import asyncio

import pytest

from servekit.server.webhooks.lanes import Lanes


class Crowd:
    """Deliveries that hold their turns until they are let go."""

    def __init__(self) -> None:
        self.lanes = Lanes()
        self.begun: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def add(self, host: str, count: int) -> None:
        self.tasks += [asyncio.create_task(self._hold(f"{host}/{number}", host)) for number in range(count)]
        await self.settle()

    async def let_go(self, count: int) -> None:
        for task in self.tasks[:count]:
            task.cancel()
        await asyncio.wait(self.tasks[:count])
        del self.tasks[:count]
        await self.settle()

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def _hold(self, name: str, host: str) -> None:
        async with self.lanes.turn(host):
            self.begun.append(name)
            await asyncio.Event().wait()


@pytest.fixture
def crowd() -> Crowd:
    return Crowd()


async def test_a_host_has_a_part_and_the_next_ones_come_in_order(crowd: Crowd) -> None:
    await crowd.add("a", 20)
    assert crowd.begun == [f"a/{number}" for number in range(16)]

    await crowd.let_go(2)

    assert crowd.begun[16:] == ["a/16", "a/17"]
    await crowd.let_go(18)


async def test_a_host_whose_part_is_used_up_holds_up_no_other(crowd: Crowd) -> None:
    await crowd.add("a", 20)
    await crowd.add("b", 1)

    assert crowd.begun[-1] == "b/0"
    await crowd.let_go(21)


async def test_all_hosts_together_have_a_limit(crowd: Crowd) -> None:
    for number in range(17):
        await crowd.add(str(number), 16)
    assert len(crowd.begun) == 256

    await crowd.let_go(1)

    assert len(crowd.begun) == 257
    await crowd.let_go(271)


async def test_nothing_is_kept_of_a_host_that_is_done(crowd: Crowd) -> None:
    await crowd.add("a", 20)
    await crowd.let_go(20)

    assert crowd.lanes._lanes == {}
