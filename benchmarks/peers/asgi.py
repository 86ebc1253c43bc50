"""The bare ASGI application in front of a predictor, shared by both ceilings.

It validates nothing, logs nothing and cancels nothing: it shows what Python can reach, not what a server should be.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import uvicorn

from benchmarks.peers.common import COMPLETED

__all__ = ["Backend", "make_app", "serve"]

_SSE_HEADERS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
_JSON_HEADERS = [(b"content-type", b"application/json")]


class Backend(Protocol):
    """Runs predictions, here or in another process."""

    is_stream: bool

    async def start(self) -> None:
        """Get ready; it is called once, on the server's loop."""

    async def predict(self, body: bytes) -> bytes:
        """Run a prediction to its end and give the encoded answer."""
        ...

    def stream(self, body: bytes) -> AsyncIterator[bytes]:
        """Run a generator and give its events, as many at once as there are."""
        ...


def make_app(backend: Backend, limit: int | None) -> Callable[..., Awaitable[None]]:
    """Make the application; beyond `limit` predictions at once it answers 503."""
    running = 0

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        nonlocal running
        if scope["type"] == "lifespan":
            await _run_lifespan(backend, receive, send)
        elif scope["path"] != "/predictions":
            await _answer(send, 200, b'{"status":"ok"}')
        elif limit is not None and running >= limit:
            await _read_body(receive)
            await _answer(send, 503, b'{"detail":"busy"}')
        else:
            body = await _read_body(receive)
            if backend.is_stream:
                await _stream(send, backend.stream(body))
                return
            running += 1
            try:
                answer = await backend.predict(body)
            finally:
                running -= 1
            await _answer(send, 200, answer)

    return app


async def _run_lifespan(backend: Backend, receive: Any, send: Any) -> None:
    await receive()
    await backend.start()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _read_body(receive: Any) -> bytes:
    message = await receive()
    if not message.get("more_body"):
        return bytes(message["body"])
    parts = [message["body"]]
    while message.get("more_body"):
        message = await receive()
        parts.append(message["body"])
    return b"".join(parts)


async def _answer(send: Any, status: int, body: bytes) -> None:
    headers = [*_JSON_HEADERS, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _stream(send: Any, events: AsyncIterator[bytes]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": _SSE_HEADERS})
    async for part in events:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": COMPLETED})


def serve(app: Callable[..., Awaitable[None]], port: int) -> None:
    """Run the application in uvicorn with its fastest parts."""
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
        lifespan="on",
    )
