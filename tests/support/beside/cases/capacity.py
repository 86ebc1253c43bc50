"""More than the slots can take."""

from typing import Any, Final

from beside.case import Area, Difference
from beside.projects import ASYNC, SYNC
from beside.server import Server

AREA: Final = Area("Capacity")

_FULL: Final = {"error": "At capacity - all prediction slots busy", "status": "failed"}
_CLOSED_LOOP: Final = 500


def _refuse(server: Server, name: str) -> Any:
    server.begin(name, {"do": "wait", "text": name})
    answer = server.client.post("/predictions", json={"input": {"do": "call"}})
    server.tell(name)
    return answer


@AREA.agrees(SYNC, (409, _FULL))
def a_full_server_refuses(server: Server) -> Any:
    answer = _refuse(server, "full-1")
    return answer.status_code, {key: answer.json().get(key) for key in _FULL}


@AREA.differs(
    SYNC,
    Difference("409 of a full server", "says no more", "has `Retry-After`", "a client learns when to come again"),
    cog=False,
    here=True,
)
def a_full_server_says_when_to_come_again(server: Server) -> Any:
    return "retry-after" in _refuse(server, "full-2").headers


@AREA.differs(
    SYNC,
    Difference(
        f"{_CLOSED_LOOP} requests, each sent when the one before was answered",
        "some get 409: the slot is given back after the answer",
        "all run",
        "a slot is free as soon as the model is",
    ),
    cog=[200, 409],
    here=[200],
)
def a_client_that_waits_for_each_answer(server: Server) -> Any:
    server.wait_until_idle()
    body = {"input": {"do": "call"}}
    return sorted({server.client.post("/predictions", json=body).status_code for _ in range(_CLOSED_LOOP)})


@AREA.agrees(ASYNC, (5, 409))
def as_many_run_at_a_time_as_there_are_slots(server: Server) -> Any:
    names = [f"slot-{number}" for number in range(5)]
    for name in names:
        answer = server.client.post("/predictions", json={"input": {"name": name, "count": 1}}, headers=_ASYNC)
        assert answer.status_code == 202
    for name in names:
        server.wait_for(f"{name}.begun")
    refused = server.client.post("/predictions", json={"input": {}}).status_code
    for name in names:
        server.tell(name)
    return len(names), refused


@AREA.agrees(ASYNC, [{"steps": 1}, {"steps": 3}])
def metrics_of_predictions_at_a_time_are_apart(server: Server) -> Any:
    for count, name in ((1, "own-1"), (3, "own-2")):
        server.begin(name, {"name": name, "count": count}, **server.hook(name, "completed"))
    for name in ("own-1", "own-2"):
        server.tell(name)
    ends = [server.posts(name)[0].prediction["metrics"] for name in ("own-1", "own-2")]
    return [{"steps": each["steps"]} for each in ends]


_ASYNC: Final = {"prefer": "respond-async"}
