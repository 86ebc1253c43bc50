"""The server's application: what is asked often on plain ASGI in front, FastAPI behind it for the rest."""

import time
import traceback
from collections.abc import Awaitable, Callable

from structlog.typing import FilteringBoundLogger

from servekit.errors import ServekitError
from servekit.server.contract import Contract
from servekit.server.exchange import ClientGoneError, Exchange, Receive, Scope, Send
from servekit.server.problems import Refusal, refuse_error

__all__ = ["Application", "AsgiApp", "Route"]

AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Route = Callable[[Exchange], Awaitable[None]]

_ENDS = (b"", b"/")
_CLIENT_GONE = 499
"""What the log says when there was nobody to answer any more; nginx made the number known."""


class Application:
    """Takes every request, answers it or an error, and writes one line of log about it.

    Args:
        predictions: Answers what is at and below `/predictions`, or what the contract has in its place.
        probes: Answer the paths by which others watch the server; logged at level debug only.
        rest: Gives the application for all other paths. It is asked for at the first such request, so
            that a server can listen before everything is imported.
        log: Where lines go.
        contract: What clients know: where predictions are, and the words for an error.
    """

    def __init__(
        self,
        predictions: Route,
        probes: dict[str, Route],
        rest: Callable[[], Awaitable[AsgiApp]],
        log: FilteringBoundLogger,
        contract: Contract,
    ) -> None:
        self._predictions = predictions
        self._probes = probes
        self._rest = rest
        self._log = log
        self._tell = contract.refuse
        self._path = contract.resource.raw_path
        self._path_length = len(self._path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return  # there are no websockets, and the server's life is led outside of it
        exchange = Exchange(scope, receive, send)
        # The path as it was sent: what is encoded in it belongs to an id, never to the path itself.
        path: bytes = scope["raw_path"]
        probe = None
        try:
            if path.startswith(self._path) and path[self._path_length :][:1] in _ENDS:
                await self._predictions(exchange)
            elif (probe := self._probes.get(scope["path"])) is not None:
                await probe(exchange)
            else:
                app = await self._rest()
                await app(scope, receive, exchange.send)
        except Refusal as refusal:
            await exchange.refuse(self._tell(refusal))
        except ClientGoneError:
            exchange.status = _CLIENT_GONE
        except ServekitError as error:
            await exchange.refuse(self._tell(refuse_error(error)))
        except Exception:  # noqa: BLE001 - the border: whatever it is, the client gets an answer and the log the story
            await self._answer_bug(exchange)
        self._write_line(exchange, probe is not None)

    async def _answer_bug(self, exchange: Exchange) -> None:
        self._log.error("the server failed to answer", path=exchange.scope["path"], traceback=traceback.format_exc())
        if not exchange.status:
            await exchange.refuse(self._tell(Refusal(500, "the server failed to answer; its log says why")))
        exchange.status = 500

    def _write_line(self, exchange: Exchange, is_probe: bool) -> None:
        scope = exchange.scope
        write = self._log.debug if is_probe else self._log.info
        values: dict[str, object] = {} if exchange.prediction_id is None else {"prediction": exchange.prediction_id}
        if exchange.inputs is not None:
            values["inputs"] = exchange.inputs
        write(
            "request",
            method=scope["method"],
            path=scope["path"],
            status=exchange.status,
            duration=round(time.perf_counter() - exchange.started, 6),
            **values,
        )
