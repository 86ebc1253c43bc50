"""Whether a worker answers, as told by its answers alone."""

import threading
from concurrent.futures import ThreadPoolExecutor

from servekit.runtime.protocol import Ping, Pong
from servekit.runtime.pulse import Hang, Pulse, ThreadProbe


def test_a_worker_that_owes_an_answer_is_not_asked_again() -> None:
    pulse = Pulse()

    assert [pulse.next_question() for _ in range(3)] == [Ping(1), None, None]


def test_silence_is_counted_in_turns() -> None:
    pulse = Pulse()
    for _ in range(4):
        pulse.next_question()

    assert pulse.silence(2.0) == (6.0, "loop")


def test_an_answer_ends_the_silence() -> None:
    pulse = Pulse()
    for _ in range(4):
        pulse.next_question()
    pulse.take(Pong(1))

    assert pulse.silence(2.0) == (0.0, "loop")
    assert pulse.next_question() == Ping(2)


def test_an_answer_to_nothing_that_was_asked_is_dropped() -> None:
    pulse = Pulse()
    pulse.next_question()
    pulse.take(Pong(7))

    assert pulse.next_question() is None


def test_threads_that_take_no_work_are_told_by_the_loop() -> None:
    pulse = Pulse()
    pulse.next_question()
    pulse.take(Pong(1, threads_seconds=6.5))

    assert pulse.silence(1.0) == (6.5, "threads")


def test_a_hang_is_described_with_its_place() -> None:
    assert "event loop has not answered for" in Hang("loop", 0.0, 0.0).describe()
    assert "predict threads have taken no work for" in Hang("threads", 0.0, 0.0).describe()


def test_no_more_than_one_job_asks_the_threads() -> None:
    gate = threading.Event()
    with ThreadPoolExecutor(1) as executor:
        executor.submit(gate.wait)
        probe = ThreadProbe(executor)
        for _ in range(5):
            probe.ask(has_free_thread=True)

        assert executor._work_queue.qsize() == 1
        assert probe.ask(has_free_thread=True) > 0
        gate.set()


def test_threads_that_took_the_job_owe_nothing() -> None:
    with ThreadPoolExecutor(1) as executor:
        probe = ThreadProbe(executor)
        probe.ask(has_free_thread=True)
        executor.submit(int).result()  # behind the probe's job, which is done then

        assert probe.ask(has_free_thread=False) == 0.0


def test_busy_threads_are_not_asked() -> None:
    with ThreadPoolExecutor(1) as executor:
        ThreadProbe(executor).ask(has_free_thread=False)

        assert executor._work_queue.qsize() == 0
