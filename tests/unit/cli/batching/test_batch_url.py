"""Rows that are sent to a server, which answers in all the ways that servers do."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from servekit.errors import SetupError, UnreachableError, UsageError
from servekit.jobs import FailureKind, Outcome, Row
from servekit.runtime.prediction import Status
from servekit_cli.batching.url_target import UrlTarget

Answer = tuple[int, dict[str, str], Any]
Reply = Callable[[str, dict[str, str], bytes], Answer | None]
"""Path, headers and body to an answer; None hangs up."""

NO_OUTPUT: list[tuple[Answer, FailureKind, str]] = [
    ((200, {}, {"status": "failed", "error": "boom"}), FailureKind.MODEL, "boom"),
    ((200, {}, {"status": "canceled"}), FailureKind.CANCELED, "canceled"),
    ((202, {}, {"status": "processing"}), FailureKind.SERVER, "before the end"),
    ((200, {}, b"<html>"), FailureKind.SERVER, "no prediction"),
    ((422, {}, {"detail": [{"loc": ["input", "a"], "msg": "too large"}]}), FailureKind.INPUT, "input.a: too large"),
    ((404, {}, {"detail": "Not Found"}), FailureKind.REFUSED, "404: Not Found"),
    ((307, {"location": "/x"}, b""), FailureKind.REFUSED, "307"),
    ((500, {}, b"oh"), FailureKind.SERVER, "500: oh"),
    ((409, {}, {"detail": "Already running"}), FailureKind.BUSY, "Already running"),
]
TAKES_NO_ROWS: list[tuple[Answer, type[Exception]]] = [
    ((401, {}, {}), UsageError),
    ((200, {}, {"status": "SETUP_FAILED"}), SetupError),
    ((200, {}, {"status": "STARTING"}), UnreachableError),
]
READY: Answer = (200, {}, {"status": "READY"})


@asynccontextmanager
async def serving(reply: Reply) -> AsyncGenerator[str]:
    """Serve on loopback whatever a function makes of each request."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                headers = await read_headers(reader)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                answer = reply(line.split()[1].decode(), headers, body)
                if answer is None:
                    return
                code, fields, content = answer
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
                writer.write(f"HTTP/1.1 {code} X\r\ncontent-length: {len(data)}\r\n{head}\r\n".encode() + data)
                await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def read_headers(reader: asyncio.StreamReader) -> dict[str, str]:
    headers: dict[str, str] = {}
    while (line := await reader.readline()) != b"\r\n":
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    return headers


def always(answer: Answer | None, *, health: Answer | None = None) -> Reply:
    """Answer everything alike, but for the question whether it is ready."""

    def reply(path: str, _headers: dict[str, str], _body: bytes) -> Answer | None:
        return (health or answer) if path == "/health-check" else answer

    return reply


async def ask(answer: Answer, row: Row | None = None) -> Outcome:
    async with serving(always(answer, health=READY)) as url, UrlTarget(url) as target:
        return await target.run(row or Row(1, b'{"a": 1}'))


async def test_a_row_is_posted_with_the_headers_below_the_path() -> None:
    seen: list[tuple[str, str, bytes]] = []

    def reply(path: str, headers: dict[str, str], body: bytes) -> Answer:
        seen.append((path, headers["authorization"], body))
        return READY if "health" in path else (200, {}, {"status": "succeeded", "output": [1], "metrics": {"n": 2}})

    headers = {"Authorization": "Bearer x"}
    async with serving(reply) as url, UrlTarget(f"{url}/model/predictions", headers=headers) as target:
        outcome = await target.run(Row(1, b'{"a": 1}'))

    assert outcome == Outcome(Status.SUCCEEDED, b"[1]", metrics={"n": 2})
    assert seen == [
        ("/model/health-check", "Bearer x", b""),
        ("/model/predictions", "Bearer x", b'{"input":{"a": 1}}'),
    ]


@pytest.mark.parametrize(("answer", "kind", "error"), NO_OUTPUT)
async def test_what_is_no_output_says_why(answer: Answer, kind: FailureKind, error: str) -> None:
    outcome = await ask(answer)

    assert (outcome.kind, error in (outcome.error or "")) == (kind, True), outcome


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("soon", None), ("-5", 0.0)]
)
async def test_a_busy_server_says_when_to_come_again(code: int, text: str, seconds: float | None) -> None:
    outcome = await ask((code, {"Retry-After": text}, {"detail": "busy"}))

    assert (outcome.kind, outcome.retry_after) == (FailureKind.BUSY, seconds)


async def test_files_travel_inside_the_row(tmp_path: Any) -> None:
    (tmp_path / "a.txt").write_text("A")
    bodies: list[bytes] = []

    def reply(path: str, _: dict[str, str], body: bytes) -> Answer:
        bodies.append(body)
        return READY if "health" in path else (200, {}, {"status": "succeeded"})

    row = Row(1, b'{"file":"upload:x/a.txt"}', uploads={"upload:x/a.txt": f"{tmp_path}/a.txt"})
    async with serving(reply) as url, UrlTarget(url) as target:
        await target.run(row)

    assert json.loads(bodies[1]) == {"input": {"file": "data:text/plain;base64,QQ=="}}


async def test_a_server_that_is_not_there_is_told_at_once() -> None:
    async with serving(always(READY)) as url:
        pass

    with pytest.raises(UnreachableError, match=r"cannot be reached.*\n.*correct --url"):
        await UrlTarget(url).__aenter__()


async def test_a_server_that_hangs_up_is_a_failed_connection() -> None:
    async with serving(always(None, health=READY)) as url, UrlTarget(url) as target:
        outcome = await target.run(Row(1))

    assert outcome.kind is FailureKind.CONNECTION


@pytest.mark.parametrize(("answer", "error"), TAKES_NO_ROWS)
async def test_a_server_that_will_take_no_rows_is_told_at_once(answer: Answer, error: type[Exception]) -> None:
    async with serving(always(answer)) as url:
        with pytest.raises(error):
            await UrlTarget(url, setup_seconds=0.0).__aenter__()


async def test_a_server_without_a_health_check_and_schemas_is_taken_as_it_is() -> None:
    async with serving(always((404, {}, {"detail": "Not Found"}))) as url, UrlTarget(url) as target:
        assert await target.fetch_schemas() == ({}, {})


@pytest.mark.parametrize("url", ["", "host", "ftp://host", "http://"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="--url is"):
        UrlTarget(url)
