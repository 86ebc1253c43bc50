import threading
import time
from collections import Counter

import pytest

from servekit.errors import CancelationError
from servekit.runtime.interrupt import ThreadInterrupt


def test_a_busy_thread_is_interrupted() -> None:
    interrupt = ThreadInterrupt()
    entered = threading.Event()
    outcome: list[str] = []

    def work() -> None:
        interrupt.enter()
        entered.set()
        try:
            while True:
                pass
        except CancelationError:
            outcome.append("interrupted")
        finally:
            interrupt.leave()

    thread = threading.Thread(target=work)
    thread.start()
    entered.wait()
    interrupt.interrupt()
    thread.join(10)

    assert outcome == ["interrupted"]


def test_work_that_was_interrupted_before_it_began_does_not_begin() -> None:
    interrupt = ThreadInterrupt()
    interrupt.interrupt()

    with pytest.raises(CancelationError):
        interrupt.enter()


def test_an_interruption_after_the_work_hits_nothing() -> None:
    interrupt = ThreadInterrupt()
    interrupt.enter()
    interrupt.leave()
    interrupt.interrupt()

    for _ in range(1000):
        time.sleep(0)


def test_no_interruption_is_left_over_whenever_it_comes() -> None:
    """Interrupt at random moments around `leave`, many times; the thread's own code must never be hit."""
    strays: list[BaseException] = []

    def work(interrupt: ThreadInterrupt, go: threading.Event) -> None:
        try:
            try:
                interrupt.enter()
                go.set()
                for _ in range(50):
                    pass
            except CancelationError:
                pass
            finally:
                interrupt.leave()
            sum(range(2000))  # the pool's own code
        except BaseException as error:  # noqa: BLE001 - whatever it is, it must not be here
            strays.append(error)

    for _ in range(500):
        interrupt, go = ThreadInterrupt(), threading.Event()
        thread = threading.Thread(target=work, args=(interrupt, go))
        thread.start()
        go.wait(1)
        interrupt.interrupt()
        thread.join(10)

    assert strays == []


def test_a_shielded_step_happens_whole_or_not_at_all() -> None:
    for _ in range(300):
        interrupt, go, counts = ThreadInterrupt(), threading.Event(), Counter[str]()
        thread = threading.Thread(target=_count_shielded, args=(interrupt, go, counts))
        thread.start()
        go.wait(10)
        interrupt.interrupt()
        thread.join(10)
        assert not thread.is_alive()
        assert counts["begun"] == counts["done"]


def _count_shielded(interrupt: ThreadInterrupt, go: threading.Event, counts: Counter[str]) -> None:
    def step(_: None) -> None:
        counts["begun"] += 1
        for _number in range(20):
            pass
        counts["done"] += 1

    try:
        interrupt.enter()
        go.set()
        while True:
            interrupt.shielded(step, None)
    except CancelationError:
        pass
    finally:
        interrupt.leave()


def test_clean_up_code_after_an_interruption_makes_its_steps() -> None:
    interrupt, entered, made = ThreadInterrupt(), threading.Event(), list[str]()

    def work() -> None:
        interrupt.enter()
        try:
            entered.set()
            while True:
                pass
        except CancelationError:
            interrupt.shielded(made.append, "cleaned up")
        finally:
            interrupt.leave()

    thread = threading.Thread(target=work)
    thread.start()
    entered.wait(10)
    interrupt.interrupt()
    thread.join(10)

    assert made == ["cleaned up"]


def test_a_shielded_step_may_make_another_as_when_a_finalizer_prints_inside_it() -> None:
    interrupt, made = ThreadInterrupt(), list[str]()

    def step(name: str) -> None:
        interrupt.shielded(made.append, "inner")
        made.append(name)

    def work() -> None:
        interrupt.enter()
        try:
            interrupt.shielded(step, "outer")
        finally:
            interrupt.leave()

    thread = threading.Thread(target=work, daemon=True)  # without this behaviour it would never end
    thread.start()
    thread.join(10)

    assert made == ["inner", "outer"]
