"""Trainings."""

from typing import Any, Final

from beside.case import Area, Difference
from beside.projects import SYNC, TRAIN
from beside.reading import read_answer
from beside.server import Server

AREA: Final = Area("Trainings")

_WEIGHTS: Final = {"weights": "data:text/plain;base64,d3d3"}
_OTHER: Final = Difference(
    "`/trainings` of a server that predicts, `/predictions` of one that trains",
    "run what the server runs, under the other name",
    "404 that says how such a server is started",
    "who asks for a training should not get a prediction",
)


@AREA.agrees(TRAIN, (200, {"status": "succeeded", "output": _WEIGHTS, "logs": "training 3\n", "metrics": {}}))
def a_training_runs(server: Server) -> Any:
    return read_answer(server.send({"input": {"n": 3}}, "/trainings"))


@AREA.agrees(TRAIN, (200, "failed"))
def a_training_fails(server: Server) -> Any:
    answer = server.send({"input": {"n": 3, "fails": True}}, "/trainings")
    return answer.status_code, answer.json()["status"]


@AREA.agrees(TRAIN, (406, "Training endpoints do not support streaming responses."))
def a_training_is_not_streamed(server: Server) -> Any:
    answer = server.send({"input": {"n": 1}}, "/trainings", accept="text/event-stream")
    return answer.status_code, answer.json()["error"]


@AREA.agrees(TRAIN, (200, "own"))
def put_runs_a_training_with_its_id(server: Server) -> Any:
    answer = server.send({"input": {"n": 1}}, "/trainings/own", method="PUT")
    return answer.status_code, answer.json()["id"]


@AREA.agrees(TRAIN, (422, True))
def put_with_another_id_in_the_body_is_refused(server: Server) -> Any:
    answer = server.send({"id": "a", "input": {"n": 1}}, "/trainings/b", method="PUT")
    return answer.status_code, "training ID must match the ID supplied in the URL" in answer.text


@AREA.agrees(TRAIN, 404)
def what_is_not_in_flight_is_not_canceled(server: Server) -> Any:
    return server.client.post("/trainings/nope/cancel").status_code


@AREA.agrees(TRAIN, ["/trainings", "/trainings/{training_id}/cancel", "/trainings/{training_id}"])
def the_root_names_the_routes(server: Server) -> Any:
    body = server.client.get("/").json()
    return [body.get(f"trainings_{name}") for name in ("url", "cancel_url", "idempotent_url")]


@AREA.differs(TRAIN, _OTHER, cog=200, here=404)
def predictions_are_asked_of_a_server_that_trains(server: Server) -> Any:
    return server.send({"input": {"n": 1}}).status_code


@AREA.differs(SYNC, _OTHER, cog=200, here=404)
def trainings_are_asked_of_a_server_that_predicts(server: Server) -> Any:
    return server.send({"input": {"do": "call"}}, "/trainings").status_code
