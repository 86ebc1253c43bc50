"""Rows, run by a server over HTTP: servekit's, Cog's, or whatever else speaks their contract."""

import asyncio
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Final, Self

import httpx
import msgspec

from servekit.errors import SetupError, UnreachableError, UsageError
from servekit.jobs import CoroutineTarget, FailureKind, Outcome, Row
from servekit.runtime.prediction import Status
from servekit.runtime.targets import Target as Address
from servekit.runtime.targets import TargetError
from servekit_cli.container.uploads import inline_files
from servekit_cli.inputs import PredictionInput

__all__ = ["UrlTarget"]

_CONNECT_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 30.0
"""How long a server may take for what it answers without its model."""

_POLL_SECONDS: Final = 0.5
_CONNECTIONS: Final = 128
"""More than `--concurrency auto` ever has at a time."""

_BUSY: Final = frozenset({409, 429, 503})
"""The first is what Cog answers while it runs another prediction."""

_BAD_INPUT: Final = frozenset({400, 413, 415, 422})
_NO_ENTRY: Final = frozenset({401, 403})
_FIRST_ERROR: Final = 400
_FIRST_FAULT: Final = 500
_SHOWN: Final = 300


class _Answer(msgspec.Struct, frozen=True):
    """What is read of a prediction."""

    status: str
    output: msgspec.Raw = msgspec.Raw(b"null")
    error: str | None = None
    metrics: dict[str, Any] | None = None
    logs: str | None = None


class UrlTarget(CoroutineTarget):
    """Runs rows by `POST /predictions`.

    Args:
        url: Where the server is; a path in it stays in front of the server's own.
        headers: For every request.
        concurrency: How many rows run at a time, at most; None if that is not known.
        setup_seconds: How long to wait for a server that is still setting up.
        is_local: Whether it is reached without TLS and without the proxies of the environment.

    Raises:
        UsageError: It is no URL.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        concurrency: int | None = None,
        setup_seconds: float = 300.0,
        is_local: bool = False,
    ) -> None:
        super().__init__()
        self._url = _read_url(url)
        self._setup_seconds = setup_seconds
        connections = max(concurrency or 0, _CONNECTIONS)
        self._http = httpx.AsyncClient(
            base_url=self._url,
            headers=dict(headers or {}),
            timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS),  # a prediction takes as long as --timeout lets it
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            trust_env=not is_local,
            # Without TLS there is nothing to verify, and to load the authorities takes a quarter of a second.
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if self._url.startswith("http:") else True,
        )

    async def __aenter__(self) -> Self:
        """Wait until the server is ready.

        Raises:
            UnreachableError: There is none, or it does not get ready in time.
            UsageError: It does not let us in.
            SetupError: Its model could not be set up.
        """
        try:
            await self._wait_until_ready()
        except BaseException:
            await self._http.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Cancel what still runs, and close the connections."""
        await super().__aexit__(kind, error, traceback)
        await self._http.aclose()

    async def fetch_schemas(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the JSON Schemas of input and output, empty where the server does not tell them."""
        try:
            document = (await self._http.get("openapi.json", timeout=_ANSWER_SECONDS)).json()
            schemas = document["components"]["schemas"]
            given, taken = ({**schemas.get(name, {}), "$defs": schemas} for name in ("Input", "Output"))
        except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError):
            return {}, {}
        return given, taken

    async def run(self, row: Row) -> Outcome:
        """Send a row, and wait for its prediction."""
        body = b'{"input":%s}' % await _read_input(row)
        try:
            answer = await self._http.post("predictions", content=body, headers={"Content-Type": "application/json"})
        except httpx.HTTPError as error:
            return Outcome.failure(FailureKind.CONNECTION, f"the connection failed: {_describe(error)}")
        return _read_outcome(answer)

    async def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self._setup_seconds
        while (state := await self._ask_health()) == "STARTING":
            if time.monotonic() > deadline:
                raise UnreachableError(
                    f"{self._url} was still setting up after {self._setup_seconds:g} seconds.\n"
                    "Wait longer with --setup-timeout, or look at its log."
                )
            await asyncio.sleep(_POLL_SECONDS)
        if state == "SETUP_FAILED":
            raise SetupError(f"The model at {self._url} could not be set up; its log says why.")

    async def _ask_health(self) -> str | None:
        """Return what the server says of itself; None if it does not know the question."""
        try:
            answer = await self._http.get("health-check", timeout=_ANSWER_SECONDS)
        except httpx.HTTPError as error:
            raise UnreachableError(
                f"{self._url} cannot be reached: {_describe(error)}.\nSee whether it runs, and correct --url."
            ) from None
        if answer.status_code in _NO_ENTRY:
            raise UsageError(
                f"{self._url} does not let us in: it answers {answer.status_code}.\n"
                'Give what it wants with --header "Authorization: Bearer TOKEN".'
            )
        try:
            status = answer.json()["status"]
        except (ValueError, KeyError, TypeError):
            return None
        return status if isinstance(status, str) else None


def _read_url(text: str) -> str:
    try:
        address = Address.of(text)
    except TargetError as error:
        raise UsageError(f'--url is "{text}", which {error}.\nWrite it as https://host or http://host:5000.') from None
    url = str(address.url._replace(query=None, fragment=None))
    return f"{url.rstrip('/').removesuffix('/predictions')}/"


async def _read_input(row: Row) -> bytes:
    """Give the input with its files in it, as every server takes it."""
    if not row.uploads:
        return row.raw_input
    return await asyncio.to_thread(inline_files, PredictionInput(row.raw_input, row.uploads))


def _read_outcome(answer: httpx.Response) -> Outcome:
    code = answer.status_code
    if code in _BUSY:
        return Outcome.failure(FailureKind.BUSY, _explain(answer), retry_after=_read_pause(answer))
    if code >= _FIRST_FAULT:
        return Outcome.failure(FailureKind.SERVER, _explain(answer), retry_after=_read_pause(answer))
    if code in _BAD_INPUT:
        return Outcome.failure(FailureKind.INPUT, _explain(answer))
    if code >= _FIRST_ERROR or not answer.is_success:
        return Outcome.failure(FailureKind.REFUSED, _explain(answer))
    try:
        prediction = msgspec.json.decode(answer.content, type=_Answer)
        status = Status(prediction.status)
    except (msgspec.DecodeError, ValueError):
        return Outcome.failure(FailureKind.SERVER, f"the server answered {code} with what is no prediction")
    return _judge(status, prediction)


def _judge(status: Status, prediction: _Answer) -> Outcome:
    kinds = {Status.SUCCEEDED: None, Status.FAILED: FailureKind.MODEL, Status.CANCELED: FailureKind.CANCELED}
    if status not in kinds:
        return Outcome.failure(FailureKind.SERVER, f"the server answered before the end: {status}")
    return Outcome(
        status,
        bytes(prediction.output),
        None if status is Status.SUCCEEDED else prediction.error or str(status),
        kinds[status],
        metrics=prediction.metrics or {},
        logs=prediction.logs or "",
    )


def _explain(answer: httpx.Response) -> str:
    """Say what a server answered in place of a prediction."""
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = answer.text
    if isinstance(detail, list):
        entries: list[Any] = detail  # pyright: ignore[reportUnknownVariableType] # JSON
        detail = "; ".join(_explain_problem(each) for each in entries)
    return f"{answer.status_code}: {detail}"[:_SHOWN]


def _explain_problem(problem: Any) -> str:
    try:
        return f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
    except (TypeError, KeyError):
        return str(problem)


def _read_pause(answer: httpx.Response) -> float | None:
    """Read Retry-After, in either of its forms."""
    text = answer.headers.get("Retry-After", "")
    try:
        return max(float(text), 0.0)
    except ValueError:
        pass
    try:
        return max((parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None


def _describe(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__
