"""PUT with an id, and what ids may be."""

from typing import Any, Final

from beside.bench import COG_FOLDER
from beside.case import Area, Difference
from beside.projects import ASYNC, SYNC
from beside.reading import read_answer
from beside.server import Server

AREA: Final = Area("PUT and ids")

_MISMATCH: Final = "prediction ID must match the ID supplied in the URL"


def _hold(server: Server, name: str) -> dict[str, Any]:
    values = {"do": "wait", "text": name}
    server.begin(name, values)
    return values


@AREA.agrees(SYNC, [(200, "job:1"), (200, "urn:uuid:1b4e"), (200, "YQ=="), (200, "a+b@c")])
def ids_may_have_signs_in_them(server: Server) -> Any:
    answers = [server.predict({"do": "call"}, id=name) for name in ("job:1", "urn:uuid:1b4e", "YQ==", "a+b@c")]
    return [(each.status_code, each.json().get("id")) for each in answers]


@AREA.agrees(SYNC, (200, "put-1"))
def put_runs_a_prediction_with_its_id(server: Server) -> Any:
    answer = server.send({"input": {"do": "call"}}, "/predictions/put-1", method="PUT")
    return answer.status_code, answer.json()["id"]


@AREA.agrees(SYNC, "succeeded")
def put_needs_no_body(server: Server) -> Any:
    server.wait_until_idle()
    return server.client.put("/predictions/put-2").json()["status"]


@AREA.agrees(SYNC, (202, "put-3", "processing", {"do": "wait", "text": "put-3"}))
def put_of_one_in_flight_shows_it_with_its_input(server: Server) -> Any:
    values = _hold(server, "put-3")
    answer = server.client.put("/predictions/put-3", json={"input": values})
    server.tell("put-3")
    body = answer.json()
    return answer.status_code, body["id"], body["status"], body["input"]


@AREA.agrees(SYNC, 1)
def put_of_one_in_flight_starts_no_second_one(server: Server) -> Any:
    first = server.predict({"do": "call"}).json()["output"]
    _hold(server, "put-4")
    server.client.put("/predictions/put-4", json={"input": {"do": "call"}})
    server.tell("put-4")
    return server.predict({"do": "call"}).json()["output"] - first


@AREA.differs(
    SYNC,
    Difference(
        "PUT of a finished prediction",
        "runs it again",
        "gives the kept prediction, as long as there is a record of it",
        "PUT means once: a client that lost the answer may ask again without paying twice",
    ),
    cog=(200, 1),
    here=(200, 0),
)
def put_of_a_finished_one(server: Server) -> Any:
    body = {"input": {"do": "call"}}
    first = server.send(body, "/predictions/put-5", method="PUT").json()["output"]
    again = server.send(body, "/predictions/put-5", method="PUT")
    return again.status_code, again.json()["output"] - first


@AREA.agrees(SYNC, (422, ["body", "id"], True))
def put_with_another_id_in_the_body_is_refused(server: Server) -> Any:
    answer = server.send({"id": "a", "input": {}}, "/predictions/b", method="PUT")
    (problem,) = answer.json()["detail"]
    return answer.status_code, problem["loc"], _MISMATCH in problem["msg"]


@AREA.differs(
    SYNC,
    Difference(
        "an id such as `../x`",
        f"taken: folders are made outside of `{COG_FOLDER}/predictions`",
        "422: an id has up to 128 letters, digits and signs, and no `/`",
        "a client must not choose where the server writes",
    ),
    cog=(200, True),
    here=(422, False),
)
def an_id_is_a_path(server: Server) -> Any:
    status = server.predict({"do": "call"}, id=f"../beside-{server.side}").status_code
    return status, (COG_FOLDER / f"beside-{server.side}").exists()


@AREA.agrees(SYNC, (200, 1))
def post_with_the_id_of_a_finished_one_runs_again(server: Server) -> Any:
    first = server.predict({"do": "call"}, id="post-1").json()["output"]
    again = server.predict({"do": "call"}, id="post-1")
    return again.status_code, again.json()["output"] - first


@AREA.differs(
    ASYNC,
    Difference(
        "POST with the id of a prediction in flight, while a slot is free",
        "starts a second one, and the first can no longer be canceled",
        "409",
        "an id names one prediction at a time",
    ),
    cog=202,
    here=409,
)
def post_with_the_id_of_one_in_flight(server: Server) -> Any:
    values = {"name": "twice", "count": 1}
    server.begin("twice", values)
    body = {"id": "twice", "input": values}
    answer = server.client.post("/predictions", json=body, headers={"prefer": "respond-async"})
    server.tell("twice")
    return answer.status_code


@AREA.agrees(SYNC, 409)
def post_to_a_full_server_with_the_id_of_one_in_flight_is_refused(server: Server) -> Any:
    _hold(server, "post-2")
    answer = server.client.post("/predictions", json={"id": "post-2", "input": {}})
    server.tell("post-2")
    return read_answer(answer)[0]
