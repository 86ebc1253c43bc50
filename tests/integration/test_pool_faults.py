"""What befalls a worker while its predictions are in every state: each ends once, as it should, and none runs twice."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pools import RunPool, ended, start

from servekit.runtime.pool import Pool
from servekit.runtime.prediction import EventKind, Prediction, Status
from servekit.runtime.protocol import Outputs, encode_frame

CODE = """
    import asyncio, os, socket, struct, sys, time
    from collections.abc import AsyncIterator
    from servekit import current_scope

    LEDGER = os.open({ledger!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    class Predictor:
        async def predict(self, act: str, data: str = "") -> AsyncIterator[str]:
            scope = current_scope()
            os.write(LEDGER, f"{{scope.id}}\\n".encode())
            (scope.temp_dir / "file").touch()
            print("begun")
            if act == "say":
                # In the middle of whatever goes on: straight into the socket to the server.
                wire = socket.socket(fileno=os.dup(int(sys.argv[2])))
                wire.setblocking(True)
                wire.sendall(bytes.fromhex(data))
                wire.shutdown(socket.SHUT_RDWR)
                time.sleep(60)
            if act == "stream":
                while True:
                    yield "x" * 1000
                    await asyncio.sleep(0.001)
            while act in ("wait", "stubborn"):
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    if act == "wait":
                        raise
            yield "done"
"""


@dataclass
class States:
    """One prediction in each of the states that it can be in."""

    pool: Pool
    ledger: Path
    done: Prediction = field(init=False)
    waiting: Prediction = field(init=False)
    streaming: Prediction = field(init=False)
    paused: Prediction = field(init=False)
    canceling: Prediction = field(init=False)
    queued: Prediction = field(init=False)
    gone: Prediction = field(init=False)

    @property
    def on_worker(self) -> tuple[Prediction, ...]:
        return self.waiting, self.streaming, self.paused, self.canceling

    @property
    def all(self) -> tuple[Prediction, ...]:
        return (*self.on_worker, self.done, self.queued, self.gone)

    async def enter(self, last: str, data: bytes) -> None:
        """Bring each prediction to its state; what takes the last slot does something of its own when all are there."""
        self.done = start(self.pool, act="")
        await ended(self.done)
        self.waiting, self.streaming, self.paused, self.canceling = (
            start(self.pool, act=act) for act in ("wait", "stream", "stream", "stubborn")
        )
        for prediction in self.on_worker:
            await happened(prediction, EventKind.LOG)
        await happened(self.paused, EventKind.OUTPUT)
        self.pool.pause(self.paused)
        self.pool.cancel(self.canceling, "enough")
        start(self.pool, act=last, data=data.hex())
        self.queued, self.gone = start(self.pool, act=""), start(self.pool, act="")
        self.pool.cancel(self.gone, "gone")

    async def check(self, reason: str) -> None:
        """See that each has ended as it should, though the worker has not."""
        for prediction in self.all:
            await ended(prediction)
        assert [each.status for each in self.on_worker[:3]] == [Status.FAILED] * 3
        assert all(reason in (each.error or "") for each in self.on_worker[:3])
        assert (self.canceling.status, self.canceling.error) == (Status.CANCELED, "enough")
        assert (self.gone.status, self.gone.error) == (Status.CANCELED, "gone")
        assert (self.done.status, self.queued.status) == (Status.SUCCEEDED, Status.SUCCEEDED)
        assert [each.kinds.count(EventKind.COMPLETED) for each in self.all] == [1] * len(self.all)

        ran = self.ledger.read_text().split()
        assert len(ran) == len(set(ran))
        assert self.queued.id in ran
        assert self.gone.id not in ran
        await self.check_files()

    async def check_files(self) -> None:
        """See that nothing of them is left."""
        folders = [self.pool.directory_of(each.key) for each in self.all]
        async with asyncio.timeout(20):
            while any(folder.exists() for folder in folders):
                await asyncio.sleep(0.01)


async def happened(prediction: Prediction, kind: EventKind) -> None:
    while kind not in prediction.kinds:
        await asyncio.wait_for(prediction.changed(len(prediction.kinds)), 20)


@asynccontextmanager
async def in_every_state(
    run_pool: RunPool, tmp_path: Path, *, last: str = "wait", data: bytes = b"", **serve: Any
) -> AsyncGenerator[States]:
    ledger = tmp_path / "ledger"
    code = CODE.format(ledger=str(ledger))
    async with run_pool(code, concurrency=5, cancel_grace=15, **serve) as pool:
        states = States(pool, ledger)
        await states.enter(last, data)
        yield states


def send(pool: Pool, number: int) -> None:
    (worker,) = pool.workers
    assert worker.pid is not None
    os.kill(worker.pid, number)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
async def test_a_signal_ends_each_prediction_as_its_state_demands(
    run_pool: RunPool, tmp_path: Path, number: signal.Signals
) -> None:
    async with in_every_state(run_pool, tmp_path) as states:
        send(states.pool, number)

        await states.check(number.name)


async def test_a_stopped_process_is_ended_after_the_hang_timeout(run_pool: RunPool, tmp_path: Path) -> None:
    async with in_every_state(run_pool, tmp_path, hang_timeout=1) as states:
        send(states.pool, signal.SIGSTOP)

        await states.check("blocked and has been replaced")


async def test_a_stopped_process_holds_up_nobody_beyond_the_timeout_and_the_grace(run_pool: RunPool) -> None:
    code = CODE.format(ledger=os.devnull)
    async with run_pool(code, timeout=1, cancel_grace=0.2, queue={"timeout": 10}) as pool:
        stopped = start(pool, act="wait")
        await happened(stopped, EventKind.LOG)
        send(pool, signal.SIGSTOP)
        await ended(stopped)
        await asyncio.wait_for(pool.ready(), 20)
        after = start(pool, act="")
        await ended(after)

    assert (stopped.status, after.status) == (Status.FAILED, Status.SUCCEEDED)
    assert "timed out" in (stopped.error or "")


FRAME = bytes(encode_frame([Outputs(10_000, [b"1" * 100])]))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "closed its connection"),
        (FRAME[:2], "closed its connection"),
        (FRAME[:20], "closed its connection"),
        (FRAME[:8].ljust(len(FRAME), b"x"), "holds no messages"),
        (FRAME[:4] + b"\x00\x00\x00\x02\x91\xc0", "holds no messages"),
        (b"Loading the model", "no frame begins with"),
    ],
    ids=["closed", "closed in the head", "closed in the frame", "garbage", "no message", "text"],
)
async def test_what_a_worker_says_that_makes_no_sense_costs_only_its_own_predictions(
    run_pool: RunPool, tmp_path: Path, data: bytes, reason: str
) -> None:
    async with in_every_state(run_pool, tmp_path, last="say", data=data) as states:
        await states.check(reason)


async def test_a_model_that_is_out_of_memory_fails_and_its_neighbours_do_not(run_pool: RunPool) -> None:
    code = """
        import asyncio, os, resource
        class Predictor:
            def setup(self) -> None:
                used = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
                resource.setrlimit(resource.RLIMIT_AS, (used + 200_000_000,) * 2)
            async def predict(self, act: str) -> int:
                print("begun")
                held = []
                while act == "eat":
                    held.append(bytearray(1_000_000))
                await asyncio.sleep(0.5 if act == "wait" else 0)
                return os.getpid()
    """
    async with run_pool(code, concurrency=2) as pool:
        (worker,) = pool.workers
        neighbour, greedy = start(pool, act="wait"), start(pool, act="eat")
        await ended(greedy)
        was_over = neighbour.is_done
        await ended(neighbour)
        after = start(pool, act="")
        await ended(after)

    assert (greedy.status, was_over) == (Status.FAILED, False)
    assert "MemoryError" in (greedy.error or "")
    assert [neighbour.output, after.output] == [str(worker.pid).encode()] * 2
