import asyncio

from servekit.runtime.prediction import Prediction
from servekit.runtime.queue import WaitingLine


def prediction(key: int) -> Prediction:
    return Prediction(str(key), key, b"{}")


async def test_first_come_first_served() -> None:
    line = WaitingLine(3, 60, lambda _: None)
    for key in range(3):
        line.put(prediction(key))

    assert line.is_full
    assert [line.take().key for _ in range(3)] == [0, 1, 2]  # type: ignore[union-attr]
    assert line.take() is None


async def test_one_that_was_removed_is_not_served() -> None:
    line = WaitingLine(3, 60, lambda _: None)
    first, second = prediction(1), prediction(2)
    line.put(first)
    line.put(second)

    assert line.remove(first)
    assert not line.remove(first)
    assert line.take() is second


async def test_one_that_waits_too_long_is_reported_once_and_gone() -> None:
    expired: asyncio.Queue[Prediction] = asyncio.Queue()
    line = WaitingLine(3, 0.01, expired.put_nowait)
    waiting = prediction(1)
    line.put(waiting)

    assert await asyncio.wait_for(expired.get(), 5) is waiting
    assert len(line) == 0


async def test_a_line_of_length_zero_is_always_full() -> None:
    assert WaitingLine(0, 60, lambda _: None).is_full
