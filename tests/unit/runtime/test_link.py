import asyncio
import contextlib
import socket
import threading

import pytest

from servekit.runtime.link import LocalLink, SocketLink, merge_logs
from servekit.runtime.protocol import (
    Cancel,
    Log,
    Message,
    Outputs,
    Ready,
    Setup,
    ToServer,
    ToWorker,
    decode_to_server,
    decode_to_worker,
    encode_frame,
)


class Inbox:
    """Collects messages and tells when enough are there."""

    def __init__(self) -> None:
        self.frames: list[list[Message]] = []
        self.is_closed = asyncio.Event()
        self._news = asyncio.Event()

    def on_messages(self, messages: list[ToServer] | list[ToWorker]) -> None:
        self.frames.append(list(messages))
        self._news.set()

    def on_closed(self) -> None:
        self.is_closed.set()

    @property
    def messages(self) -> list[Message]:
        return [message for frame in self.frames for message in frame]

    async def until(self, count: int) -> None:
        while len(self.messages) < count:
            self._news.clear()
            await asyncio.wait_for(self._news.wait(), 10)


async def connect(
    server: Inbox, worker: Inbox
) -> tuple[SocketLink[ToWorker, ToServer], SocketLink[ToServer, ToWorker]]:
    loop = asyncio.get_running_loop()
    left, right = socket.socketpair()
    ours: SocketLink[ToWorker, ToServer] = SocketLink(decode_to_server)
    theirs: SocketLink[ToServer, ToWorker] = SocketLink(decode_to_worker)
    ours.attach(server.on_messages, server.on_closed)
    theirs.attach(worker.on_messages, worker.on_closed)
    await loop.create_connection(lambda: ours, sock=left)
    await loop.create_connection(lambda: theirs, sock=right)
    return ours, theirs


async def test_messages_of_one_turn_travel_in_one_frame_and_in_order() -> None:
    server, worker = Inbox(), Inbox()
    ours, theirs = await connect(server, worker)
    for number in range(100):
        ours.post(Cancel(number))
    await worker.until(100)

    assert worker.frames == [[Cancel(number) for number in range(100)]]
    ours.close()
    await worker.is_closed.wait()
    theirs.close()


async def test_many_threads_may_post_and_nothing_is_lost() -> None:
    server, worker = Inbox(), Inbox()
    ours, theirs = await connect(server, worker)

    def post(source: int) -> None:
        for number in range(2000):
            theirs.post(Outputs(source, [b"%d" % number]))

    threads = [threading.Thread(target=post, args=(source,)) for source in range(8)]
    for thread in threads:
        thread.start()
    await server.until(16_000)
    for thread in threads:
        thread.join()

    for source in range(8):
        items = [m.items[0] for m in server.messages if isinstance(m, Outputs) and m.key == source]
        assert items == [b"%d" % number for number in range(2000)]
    ours.close()
    theirs.close()
    await server.is_closed.wait()


async def test_close_sends_what_was_posted_before() -> None:
    server, worker = Inbox(), Inbox()
    ours, theirs = await connect(server, worker)
    theirs.post(Ready())
    theirs.close()
    await server.is_closed.wait()

    assert server.messages == [Ready()]
    ours.close()


async def test_the_end_of_one_side_is_told_to_the_other() -> None:
    server, worker = Inbox(), Inbox()
    ours, theirs = await connect(server, worker)
    ours.close()

    await asyncio.wait_for(worker.is_closed.wait(), 10)
    await asyncio.wait_for(theirs.closed(), 10)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"Loading the model", "no frame begins with b'Loading the model'"),
        (encode_frame([])[:4] + b"\x00\x00\x00\x04oops", "a frame of 4 bytes holds no messages"),
        (encode_frame([])[:4] + b"\x00\x00\x00\x02\x91\xc0", "a frame of 2 bytes holds no messages"),
    ],
    ids=["text", "garbage", "no message"],
)
async def test_bytes_that_are_no_messages_end_the_connection(data: bytes, fault: str) -> None:
    server = Inbox()
    left, right = socket.socketpair()
    link: SocketLink[ToWorker, ToServer] = SocketLink(decode_to_server)
    link.attach(server.on_messages, server.on_closed)
    await asyncio.get_running_loop().create_connection(lambda: link, sock=left)
    right.sendall(data)

    await asyncio.wait_for(server.is_closed.wait(), 10)
    assert fault in str(link.fault)
    right.close()


async def test_posting_after_the_other_side_has_gone_is_harmless() -> None:
    server, worker = Inbox(), Inbox()
    ours, theirs = await connect(server, worker)
    theirs.close()
    await server.is_closed.wait()
    ours.post(Setup())
    await asyncio.sleep(0)

    assert worker.messages == []


async def test_a_sender_waits_while_the_other_side_does_not_read() -> None:
    server, worker = Inbox(), Inbox()
    ours, theirs = await connect(server, worker)
    assert ours._transport is not None
    ours._transport.pause_reading()
    theirs.post(Outputs(1, [b"x" * 5_000_000]))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(theirs.drained())
    await asyncio.sleep(0)
    assert not waiting.done()
    ours._transport.resume_reading()
    await asyncio.wait_for(waiting, 10)
    await server.until(1)

    ours.close()
    theirs.close()


@pytest.mark.parametrize("rounds", range(5))
async def test_a_local_link_loses_nothing_and_its_sender_never_waits_for_ever(rounds: int) -> None:
    server = Inbox()
    ours: LocalLink[ToWorker, ToServer] = LocalLink(asyncio.get_running_loop())
    ours.attach(server.on_messages, server.on_closed)

    async def work() -> None:
        theirs: LocalLink[ToServer, ToWorker] = LocalLink(asyncio.get_running_loop())
        ours.join(theirs)
        for number in range(5000):
            theirs.post(Outputs(1, [b"%d" % number]))
            if number % (rounds + 1) == 0:
                await asyncio.sleep(0)
                await theirs.drained()
        theirs.close()

    await asyncio.wait_for(asyncio.to_thread(asyncio.run, work()), 30)
    await server.until(5000)
    await asyncio.wait_for(server.is_closed.wait(), 10)

    assert server.messages == [Outputs(1, [b"%d" % number]) for number in range(5000)]


async def test_a_sender_waits_while_the_other_loop_takes_nothing() -> None:
    server = Inbox()
    ours: LocalLink[ToWorker, ToServer] = LocalLink(asyncio.get_running_loop())
    ours.attach(server.on_messages, server.on_closed)
    handed = 0

    async def work() -> None:
        nonlocal handed
        theirs: LocalLink[ToServer, ToWorker] = LocalLink(asyncio.get_running_loop())
        ours.join(theirs)
        for _ in range(1000):
            theirs.post(Outputs(1, [b"x" * 10_000]))
            await asyncio.sleep(0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await theirs.drained()
                    handed += 1
                    continue
            return  # it waits, as the loop outside is held up by the join below

    thread = threading.Thread(target=asyncio.run, args=(work(),))
    thread.start()
    thread.join(30)

    assert 1 < handed < 50


def test_neighbouring_logs_of_one_source_become_one() -> None:
    messages: list[ToServer] = [
        Log(1, "stdout", "a"),
        Log(1, "stdout", "\n"),
        Log(1, "stderr", "b"),
        Outputs(1, [b"1"]),
        Log(1, "stdout", "c"),
        Log(2, "stdout", "d"),
    ]

    assert merge_logs(messages) == [
        Log(1, "stdout", "a\n"),
        Log(1, "stderr", "b"),
        Outputs(1, [b"1"]),
        Log(1, "stdout", "c"),
        Log(2, "stdout", "d"),
    ]
