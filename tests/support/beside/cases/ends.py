"""Crashes and shutdowns."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import httpx

from beside.case import Area, Difference
from beside.projects import ASYNC, CRASH, LIFE, SHORT
from beside.server import Server

AREA: Final = Area("Crash and shutdown")

_PATIENCE_SECONDS: Final = 2.0


@AREA.differs(
    CRASH,
    Difference(
        "a prediction whose worker died",
        "fails with `Worker crashed`, without logs",
        "fails with the exit code or the signal and the likely cause, and keeps its logs",
        "one can see what happened",
    ),
    cog=(200, "failed", False, ""),
    here=(200, "failed", True, "last words\n"),
)
def a_worker_dies(server: Server) -> Any:
    answer = server.predict({"text": "die"})
    body = answer.json()
    return answer.status_code, body["status"], "exited with code 9" in body["error"], body["logs"]


@AREA.differs(
    CRASH,
    Difference(
        "after a crash of the worker",
        "every prediction gets 409, for good; health says `UNHEALTHY`, and the server stays up",
        "a new worker is started, and predictions go on",
        "one crash must not take a server out of service",
    ),
    cog=(409, "UNHEALTHY"),
    here=(200, "READY"),
)
def after_a_worker_died(server: Server) -> Any:
    server.predict({"text": "die"})
    settled = ((200, "READY"), (409, "UNHEALTHY"))
    server.wait_until(lambda: _serves(server) in settled)
    return _serves(server)


def _serves(server: Server) -> tuple[int, str]:
    return server.predict().status_code, server.health()["status"]


@AREA.differs(
    ASYNC,
    Difference(
        "`sys.exit()` in an async run",
        "ends the loop of the worker: this request and all after it wait for ever",
        "fails the prediction",
        "as in a sync run",
    ),
    cog=None,
    here="failed",
)
def an_async_run_exits(server: Server) -> Any:
    server.wait_until_idle()
    try:
        answer = server.client.post("/predictions", json={"input": {"exits": True}}, timeout=_PATIENCE_SECONDS)
    except httpx.ReadTimeout:
        return None
    return answer.json()["status"]


@AREA.differs(
    SHORT,
    Difference(
        "SIGTERM while a request is open",
        "it gets its answer; others are not answered any more",
        "it gets its answer; others get 503, and health says `BUSY`",
        "probes and balancers see a server that ends, not one that vanished",
    ),
    cog=(None, None, "succeeded", 0),
    here=(503, "BUSY", "succeeded", 0),
)
def sigterm_is_sent_while_a_request_is_open(server: Server) -> Any:
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(server.predict, {"name": "open", "count": 1})
        server.wait_for("open.begun")
        server.terminate()
        while (status := _ask(lambda: server.client.post("/predictions", json={}).status_code)) == 409:
            pass
        health = _ask(lambda: server.health()["status"])
        server.tell("open")
        return status, health, waiting.result().json()["status"], server.wait_for_end()


def _ask(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except httpx.TransportError:
        return None


@AREA.agrees(LIFE, "succeeded")
def sigterm_is_ignored_where_a_shutdown_is_awaited(server: Server) -> Any:
    server.make_ready()
    server.terminate()
    return server.predict({}).json()["status"]


@AREA.differs(
    LIFE,
    Difference(
        "shutdown while a `respond-async` prediction runs",
        "it is lost, and no webhook tells of its end",
        "it ends, and its last webhook is delivered",
        "the client was promised an answer",
    ),
    cog=(200, 0, []),
    here=(200, 0, ["succeeded"]),
)
def shutdown_during_an_async_prediction(server: Server) -> Any:
    server.make_ready()
    server.begin("leave", {"name": "leave"}, **server.hook("leave", "completed"))
    status = server.client.post("/shutdown").status_code
    server.ends_within(0.5)
    server.tell("leave")
    return status, server.wait_for_end(), [post.prediction["status"] for post in server.posts_so_far("leave")]
