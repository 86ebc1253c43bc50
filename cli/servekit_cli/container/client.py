"""The server in a container, over HTTP."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Any, Final, Self

import httpx
import msgspec
from httpx_sse import EventSource, ServerSentEvent, aconnect_sse

from servekit.errors import InputError, PredictionFailedError, SetupError
from servekit.runtime.prediction import EventKind
from servekit.spec import Mode
from servekit_cli.container.uploads import RequestBody
from servekit_cli.following import Event
from servekit_cli.outputs import Outcome

__all__ = ["KEEP_ALIVE_SECONDS", "ModelClient", "RemotePrediction"]

KEEP_ALIVE_SECONDS: Final = 5
"""How often the server shows that it lives while a prediction has nothing to say."""

_SILENCE_SECONDS: Final = 60.0
"""A server that says nothing for so long hangs: chosen by feel, above any pause of a machine under load."""

_CONNECT_SECONDS: Final = 10.0
_NOT_ACCEPTABLE: Final = 406
_UNPROCESSABLE: Final = 422
_POLL_SECONDS: Final = 0.02
_MAX_POLL_SECONDS: Final = 0.5
_POLL_GROWTH: Final = 1.1
"""So at most a tenth of the time is lost that setup has taken."""

_KINDS: Final = {
    "start": EventKind.START,
    "log": EventKind.LOG,
    "metric": EventKind.METRIC,
    "completed": EventKind.COMPLETED,
}


class _Chunk(msgspec.Struct):
    chunk: msgspec.Raw


class ModelClient:
    """Talks to one server; an asynchronous context manager.

    Args:
        url: Where it is.
    """

    def __init__(self, url: str) -> None:
        timeout = httpx.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS)
        # No TLS is spoken, and to load the authorities that httpx would trust takes a quarter of a second.
        no_authorities = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # The engine's host is never behind the proxy that leads to the internet.
        self._http = httpx.AsyncClient(base_url=url, timeout=timeout, trust_env=False, verify=no_authorities)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def wait_until_ready(self, ended: asyncio.Future[Any]) -> bool:
        """Wait until predictions are taken, for as long as it takes.

        Args:
            ended: Done when there is nothing to wait for any more.

        Returns:
            Whether predictions are taken; False: `ended` is done.

        Raises:
            SetupError: They never will be.
        """
        pause = _POLL_SECONDS
        while not await self._is_ready():
            await asyncio.wait({ended}, timeout=pause)
            if ended.done():
                return False
            pause = min(pause * _POLL_GROWTH, _MAX_POLL_SECONDS)
        return True

    def predict(self, name: str, body: RequestBody, mode: Mode = "predict") -> "RemotePrediction":
        """Prepare a prediction, or a training; it is sent off when its events are asked for.

        Args:
            name: Its id.
            body: The request.
            mode: Which of the two the server runs.
        """
        return RemotePrediction(self._http, f"/{'trainings' if mode == 'train' else 'predictions'}/{name}", body)

    async def _is_ready(self) -> bool:
        try:
            if (await self._http.get("/readyz")).is_success:
                return True
            health = (await self._http.get("/health-check")).json()
            if health.get("status") not in ("SETUP_FAILED", "DEFUNCT"):
                return False
            # Asked once more, as its first answer may be from before the failure.
            answer = await self._http.get("/readyz")
        except (httpx.TransportError, ValueError):  # the engine's proxy listens before the server does
            return False
        if answer.is_success:
            return True
        raise SetupError(_detail(answer))


class RemotePrediction:
    """A prediction, or a training, of a server.

    Args:
        http: The connection to it.
        path: Where it is to be.
        body: The request.

    Attributes:
        outcome: How it ended; None until its events came to their end.
    """

    def __init__(self, http: httpx.AsyncClient, path: str, body: RequestBody) -> None:
        self.outcome: Outcome | None = None
        self._http = http
        self._path = path
        self._body = body

    async def events(self) -> AsyncGenerator[Event]:
        """Send it off, and give what it does to its end.

        Raises:
            InputError: The model refuses the input.
            PredictionFailedError: The server refuses the prediction, or cannot send the rest of its events.
            httpx.TransportError: The connection broke off.
        """
        async with self._connect() as source:
            await _raise_refusal(source.response)
            async for event in source.aiter_sse():
                if event.event == "completed":
                    self.outcome = msgspec.json.decode(event.data, type=Outcome)
                if translated := _translate(event):
                    yield translated
        if self.outcome is None:
            message = "the events ended before the prediction did"
            raise httpx.RemoteProtocolError(message)

    async def refuse_bad_input(self) -> None:
        """Find out whether it failed for its input, which only an answer that is no stream says.

        A second PUT of the same id gets the prediction that is there.

        Raises:
            InputError: It did.
            httpx.TransportError: The connection broke off.
        """
        _raise_input_error(await self._http.put(self._path, json={}))

    async def cancel(self) -> None:
        """Ask it to stop. A server that cannot be asked has other ways to notice."""
        with contextlib.suppress(httpx.HTTPError):
            await self._http.post(f"{self._path}/cancel")

    @contextlib.asynccontextmanager
    async def _connect(self) -> AsyncGenerator[EventSource]:
        """Send it off, and receive its events until the block ends."""
        with self._body.open() as arguments:
            async with aconnect_sse(self._http, "PUT", self._path, **arguments) as source:
                if source.response.status_code != _NOT_ACCEPTABLE:
                    yield source
                    return
        # A training, or a Cog model whose author did not mark it as streaming. It may be watched all the same once
        # it is there.
        await self._send_off()
        async with aconnect_sse(self._http, "GET", self._path) as source:
            yield source

    async def _send_off(self) -> None:
        """Have it run without waiting for it."""
        with self._body.open() as arguments:
            headers = {**arguments.pop("headers", {}), "Prefer": "respond-async"}
            await _raise_refusal(await self._http.put(self._path, headers=headers, **arguments))


def _translate(event: ServerSentEvent) -> Event | None:
    if event.event == "output":
        return EventKind.OUTPUT, bytes(msgspec.json.decode(event.data, type=_Chunk).chunk)
    if event.event == "error":
        raise PredictionFailedError(str(json.loads(event.data).get("error")))
    kind = _KINDS.get(event.event)
    return None if kind is None else (kind, event.data.encode())


async def _raise_refusal(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    await answer.aread()
    _raise_input_error(answer)
    raise PredictionFailedError(f"The server refused the prediction ({answer.status_code}): {_detail(answer)}")


def _raise_input_error(answer: httpx.Response) -> None:
    detail: Any = _json(answer)
    if answer.status_code == _UNPROCESSABLE and isinstance(detail, list):
        problems: list[dict[str, Any]] = detail  # pyright: ignore[reportUnknownVariableType] # JSON
        raise InputError([{**problem, "loc": _without_body(problem["loc"])} for problem in problems])


def _without_body(place: list[Any]) -> list[Any]:
    """Name a place in an input as everywhere on the command line, which knows of no request."""
    return place[1:] if place[:1] == ["body"] else place


def _detail(answer: httpx.Response) -> str:
    return str(_json(answer) or answer.text)


def _json(answer: httpx.Response) -> Any:
    """Return the `detail` of an answer, if it has one."""
    with contextlib.suppress(ValueError, AttributeError):
        return answer.json().get("detail")
    return None
