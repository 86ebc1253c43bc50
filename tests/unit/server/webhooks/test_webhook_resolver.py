"""Names looked up beside the event loop."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from servekit.runtime.targets import Target, TargetError
from servekit.server.webhooks import resolver as module
from servekit.server.webhooks.resolver import Resolver


class SlowResolver:
    """Stands in for the system's, which takes as long as it likes."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_answer = threading.Event()

    def look_up(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if host.startswith("slow"):
            assert self.may_answer.wait(30)
        if host.startswith("broken"):
            raise OSError("out of order")
        return [f"{host}:{port}"]


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowResolver]:
    system = SlowResolver()
    monkeypatch.setattr(module, "look_up", system.look_up)
    yield system
    system.may_answer.set()


def to(host: str) -> Target:
    return Target.of(f"http://{host}/")


async def test_an_address_needs_no_looking_up(system: SlowResolver) -> None:
    assert await Resolver().resolve(to("[2001:db8::1]")) == ["2001:db8::1"]
    assert system.asked == []


async def test_those_who_ask_for_one_name_share_the_answer(system: SlowResolver) -> None:
    resolver = Resolver()
    answers = [asyncio.create_task(resolver.resolve(to("slow.test"))) for _ in range(5)]
    await asyncio.sleep(0)
    answers[0].cancel()
    system.may_answer.set()

    found = await asyncio.gather(*answers[1:])

    assert (found, system.asked) == ([["slow.test:80"]] * 4, ["slow.test"])


async def test_a_name_is_looked_up_anew_each_time(system: SlowResolver) -> None:
    resolver = Resolver()
    for _ in range(2):
        await resolver.resolve(to("a.test"))

    assert system.asked == ["a.test", "a.test"]


async def test_a_resolver_that_hangs_holds_up_other_names_only_when_there_are_many(system: SlowResolver) -> None:
    resolver = Resolver()
    slow = [asyncio.create_task(resolver.resolve(to(f"slow{number}.test"))) for number in range(31)]
    await asyncio.sleep(0)

    assert await resolver.resolve(to("quick.test")) == ["quick.test:80"]
    slow.append(asyncio.create_task(resolver.resolve(to("slow31.test"))))
    await asyncio.sleep(0)
    with pytest.raises(TargetError, match="32 other names are being looked up"):
        await resolver.resolve(to("quick.test"))

    system.may_answer.set()
    await asyncio.gather(*slow)


@pytest.mark.usefixtures("system")
async def test_a_thread_that_cannot_be_started_costs_one_try_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        message = "can't start new thread"
        raise RuntimeError(message)

    resolver = Resolver()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            await resolver.resolve(to("a.test"))

    assert await asyncio.wait_for(resolver.resolve(to("a.test")), 30) == ["a.test:80"]


async def test_a_resolver_that_fails_is_told(system: SlowResolver) -> None:
    with pytest.raises(TargetError, match="out of order"):
        await Resolver().resolve(to("broken.test"))
    assert system.asked == ["broken.test"]
