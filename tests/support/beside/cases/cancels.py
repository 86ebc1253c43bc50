"""Cancels."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from beside.case import Area, Difference
from beside.projects import ASYNC, SYNC
from beside.reading import read_answer, read_prediction
from beside.server import Server

AREA: Final = Area("Cancel")


def _begin(server: Server, name: str) -> None:
    server.begin(name, {"do": "wait", "text": name}, **server.hook(name, "completed"))


def _end(server: Server, name: str) -> dict[str, Any]:
    return read_prediction(server.posts_to_end(name)[-1].prediction)


@AREA.agrees(SYNC, (200, {"status": "canceled", "logs": "", "metrics": {}}))
def a_sync_run_is_canceled(server: Server) -> Any:
    _begin(server, "cancel-1")
    return server.cancel("cancel-1").status_code, _end(server, "cancel-1")


@AREA.agrees(ASYNC, (200, "canceled", "line 0\n", {"steps": 1}))
def an_async_run_is_canceled(server: Server) -> Any:
    server.begin("cancel-2", {"name": "cancel-2"}, **server.hook("cancel-2", "completed"))
    status, end = server.cancel("cancel-2").status_code, _end(server, "cancel-2")
    return status, end["status"], end["logs"], end["metrics"]


@AREA.differs(
    ASYNC,
    Difference(
        "a canceled async generator",
        "no output, since it was still being collected",
        "what it had yielded",
        "as with a sync generator",
    ),
    cog=None,
    here=["chunk-0"],
)
def a_canceled_async_generator_has_its_output(server: Server) -> Any:
    server.begin("cancel-3", {"name": "cancel-3"}, **server.hook("cancel-3", "completed"))
    server.cancel("cancel-3")
    return _end(server, "cancel-3").get("output")


@AREA.differs(
    SYNC,
    Difference(
        "a canceled run that returns a value all the same",
        "`canceled`, with a list of that value as its output",
        "`canceled`, without an output",
        "who canceled does not wait for one",
    ),
    cog=("canceled", ["swallowed"]),
    here=("canceled", None),
)
def a_cancel_is_swallowed(server: Server) -> Any:
    server.begin("cancel-9", {"do": "swallow", "text": "cancel-9"}, **server.hook("cancel-9", "completed"))
    server.cancel("cancel-9")
    end = _end(server, "cancel-9")
    return end["status"], end.get("output")


@AREA.agrees(SYNC, None)
def the_model_sees_a_cancelation_exception(server: Server) -> Any:
    _begin(server, "cancel-4")
    server.cancel("cancel-4")
    server.wait_for("cancel-4.canceled")


@AREA.differs(
    SYNC,
    Difference("the body of a cancel's answer", "`{}`", "the prediction", "a client passes over it"),
    cog=[],
    here=["id", "status"],
)
def a_cancel_has_a_body(server: Server) -> Any:
    _begin(server, "cancel-10")
    return sorted({"id", "status"} & server.cancel("cancel-10").json().keys())


@AREA.agrees(SYNC, (404, 404))
def what_is_not_in_flight_is_not_canceled(server: Server) -> Any:
    server.predict({"do": "call"}, id="cancel-5")
    return server.cancel("nope").status_code, server.cancel("cancel-5").status_code


@AREA.agrees(SYNC, (200, "canceled", "succeeded"))
def three_cancels_at_once_are_one(server: Server) -> Any:
    _begin(server, "cancel-6")
    first, *_ = [server.cancel("cancel-6").status_code for _ in range(3)]
    return first, _end(server, "cancel-6")["status"], server.predict({"do": "call"}).json()["status"]


@AREA.agrees(SYNC, "canceled")
def a_client_that_hangs_up_cancels(server: Server) -> Any:
    server.wait_until_idle()
    body = json.dumps({"input": {"do": "wait", "text": "cancel-7"}, **server.hook("cancel-7", "completed")}).encode()
    head = f"POST /predictions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(head.encode() + b"\r\n" + body)
        server.wait_for("cancel-7.begun")
    return _end(server, "cancel-7")["status"]


@AREA.agrees(SYNC, (200, {"status": "canceled", "logs": "", "metrics": {}}))
def a_client_that_waits_is_told(server: Server) -> Any:
    values = {"do": "wait", "text": "cancel-8"}
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(server.predict, values, id="cancel-8")
        server.wait_for("cancel-8.begun")
        server.cancel("cancel-8")
        return read_answer(waiting.result())
