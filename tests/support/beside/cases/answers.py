"""What a request is answered: statuses and bodies."""

from contextlib import closing, suppress
from http.client import HTTPConnection
from typing import Any, Final

from beside.case import Area, Difference
from beside.projects import SYNC
from beside.reading import read_answer, read_prediction, read_problems
from beside.server import Server

AREA: Final = Area("Answers")

_ECHOED: Final[dict[str, Any]] = {
    "text": "a",
    "count": 0,
    "ratio": 0.0,
    "flag": False,
    "size": "small",
    "maybe": None,
    "many": [],
    "mixed": "",
    "name": "abc",
}
_ONCE: Final = Difference(
    "error of a failed prediction",
    "`Prediction failed: Prediction failed: ValueError: boom`",
    "`ValueError: boom`",
    "the same is said once",
)
_LOGS: Final = Difference(
    "logs of a failed prediction",
    "empty",
    "what the model printed, then the traceback",
    "that is what one needs to mend it",
)
_ROOT: Final = {
    "docs_url": "/docs",
    "openapi_url": "/openapi.json",
    "shutdown_url": "/shutdown",
    "healthcheck_url": "/health-check",
    "predictions_url": "/predictions",
    "predictions_idempotent_url": "/predictions/{prediction_id}",
    "predictions_cancel_url": "/predictions/{prediction_id}/cancel",
}


@AREA.agrees(SYNC, (200, {"status": "succeeded", "output": _ECHOED, "logs": "out a\nerr\n", "metrics": {}}))
def a_prediction_succeeds(server: Server) -> Any:
    return read_answer(server.predict({"text": "a"}))


@AREA.differs(
    SYNC,
    Difference(
        "keys of a prediction",
        "those that have a value",
        "also `input`, the times, `error: null`, and two more durations among the metrics",
        "a client passes over what it does not know, and the times were in Cog's schema all along",
    ),
    cog=(["id", "logs", "metrics", "output", "status"], ["predict_time"]),
    here=(
        ["completed_at", "created_at", "error", "id", "input", "logs", "metrics", "output", "started_at", "status"],
        ["predict_time", "queue_time", "time_to_first_output"],
    ),
)
def the_keys_of_a_prediction(server: Server) -> Any:
    body = server.predict({"text": "a"}).json()
    return sorted(body), sorted(body["metrics"])


@AREA.agrees(SYNC, "mine")
def a_prediction_has_the_id_that_its_client_gave(server: Server) -> Any:
    return server.predict({"do": "call"}, id="mine").json()["id"]


@AREA.agrees(SYNC, 1)
def a_runner_keeps_its_state(server: Server) -> Any:
    first = server.predict({"do": "call"}).json()["output"]
    return server.predict({"do": "call"}).json()["output"] - first


@AREA.agrees(SYNC, (200, "failed"))
def a_failed_prediction_is_answered_200(server: Server) -> Any:
    answer = server.predict({"do": "fail", "text": "boom"})
    return answer.status_code, answer.json()["status"]


@AREA.differs(SYNC, _ONCE, cog="Prediction failed: Prediction failed: ValueError: boom", here="ValueError: boom")
def a_failure_has_its_error(server: Server) -> Any:
    return server.predict({"do": "fail", "text": "boom"}).json()["error"]


@AREA.differs(SYNC, _LOGS, cog=[False, False], here=[True, True])
def a_failure_has_its_logs(server: Server) -> Any:
    logs = server.predict({"do": "fail", "text": "boom"}).json()["logs"]
    return ["before it\n" in logs, "Traceback (most recent call last)" in logs]


@AREA.agrees(SYNC, ("failed", True, "succeeded"))
def an_exit_fails_the_prediction_and_not_the_next(server: Server) -> Any:
    body = server.predict({"do": "exit", "count": 3}).json()
    return body["status"], "SystemExit: " in body["error"], server.predict({"do": "call"}).json()["status"]


@AREA.agrees(SYNC, (202, "later", "starting"))
def respond_async_is_answered_at_once(server: Server) -> Any:
    answer = server.send({"id": "later", "input": {"do": "call"}}, prefer="respond-async")
    return answer.status_code, answer.json()["id"], answer.json()["status"]


@AREA.differs(
    SYNC,
    Difference(
        "`Prefer: respond-async, wait=5`",
        "not understood: the answer waits for the end",
        "a list of preferences, as the standard has it: the answer waits 5 s at most",
        "a client that sends `respond-async` alone sees no difference",
    ),
    cog=(200, None),
    here=(200, "respond-async, wait=5"),
)
def preferences_are_a_list(server: Server) -> Any:
    answer = server.send({"input": {"do": "call"}}, prefer="respond-async, wait=5")
    return answer.status_code, answer.headers.get("preference-applied")


@AREA.agrees(SYNC, ["succeeded", "succeeded"])
def no_input_is_an_empty_one(server: Server) -> Any:
    return [server.send(body).json()["status"] for body in ({"input": None}, {})]


@AREA.agrees(SYNC, "succeeded")
def no_body_is_an_empty_one(server: Server) -> Any:
    server.wait_until_idle()
    return server.client.post("/predictions").json()["status"]


@AREA.agrees(SYNC, "succeeded")
def unknown_keys_beside_the_input_are_passed_over(server: Server) -> Any:
    body: dict[str, Any] = {
        "input": {},
        "created_at": "2024-01-01T00:00:00Z",
        "output_file_prefix": "https://x.org/",
        "nope": 1,
    }
    return server.send(body).json().get("status")


@AREA.agrees(SYNC, (200, "succeeded"))
def unknown_inputs_are_dropped(server: Server) -> Any:
    answer = server.predict({"do": "call", "nope": 1})
    return answer.status_code, answer.json()["status"]


@AREA.agrees(SYNC, 400)
def a_body_that_is_no_json_is_a_bad_request(server: Server) -> Any:
    return server.client.post("/predictions", content=b"{", headers={"content-type": "application/json"}).status_code


@AREA.differs(
    SYNC,
    Difference(
        "the body of 400, of 415, and of 422 for what stands beside the input",
        "plain text",
        "JSON, with `detail`",
        "all errors are read in one way",
    ),
    cog=["text/plain", "text/plain", "text/plain"],
    here=["application/json", "application/json", "application/json"],
)
def what_cannot_be_read_is_refused(server: Server) -> Any:
    bodies = ((b"{", "application/json"), (b"a=1", "text/plain"), (b'{"context": 1}', "application/json"))
    answers = [
        server.client.post("/predictions", content=body, headers={"content-type": kind}) for body, kind in bodies
    ]
    return [each.headers["content-type"].partition(";")[0] for each in answers]


@AREA.agrees(SYNC, [422, 422])
def a_body_or_an_input_that_is_no_object_is_refused(server: Server) -> Any:
    return [server.send(body).status_code for body in ([1], {"input": [1]})]


@AREA.agrees(SYNC, 415)
def another_content_type_is_refused(server: Server) -> Any:
    return server.client.post("/predictions", content=b"a=1", headers={"content-type": "text/plain"}).status_code


@AREA.agrees(SYNC, 413)
def more_than_100_mib_is_too_large(server: Server) -> Any:
    headers = {"Content-Type": "application/json", "Content-Length": str(105 << 20)}
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=20)) as connection:
        connection.putrequest("POST", "/predictions")
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        with suppress(ConnectionError):  # it need not be read to its end
            for _ in range(105):
                connection.send(b" " * (1 << 20))
        return connection.getresponse().status


@AREA.agrees(SYNC, 7_000_000)
def an_input_of_7_mb_is_taken(server: Server) -> Any:
    return server.predict({"do": "make", "text": f"len('{'x' * 7_000_000}')"}).json()["output"]


@AREA.agrees(SYNC, 9_000_000)
def an_output_of_9_mb_is_sent(server: Server) -> Any:
    return len(server.predict({"do": "make", "text": "'x' * 9_000_000"}).json()["output"])


@AREA.agrees(SYNC, {"user": "a", "plan": "b"})
def a_context_reaches_the_model(server: Server) -> Any:
    return server.predict({"do": "context"}, context={"user": "a", "plan": "b"}).json()["output"]


@AREA.agrees(SYNC, {"plain": 1, "total": 5, "list": ["a"], "deep": {"er": 1.5}})
def metrics_stand_under_their_names(server: Server) -> Any:
    return read_prediction(server.predict({"do": "metric"}).json())["metrics"]


@AREA.agrees(SYNC, ("failed", True))
def a_metric_with_a_bad_name_fails_the_prediction(server: Server) -> Any:
    body = server.predict({"do": "metric", "text": "bad name"}).json()
    text = "ValueError: metric name segment 'bad name' contains invalid character ' '"
    return body["status"], body["error"].endswith(text)


@AREA.agrees(SYNC, "float")
def the_time_of_a_prediction_is_a_metric(server: Server) -> Any:
    return type(server.predict({"do": "call"}).json()["metrics"]["predict_time"]).__name__


@AREA.agrees(SYNC, (_ROOT, True))
def the_root_names_the_routes_and_the_version(server: Server) -> Any:
    body = server.client.get("/").json()
    return {key: body[key] for key in _ROOT}, "cog_version" in body


@AREA.differs(
    SYNC,
    Difference(
        "`GET /docs`", "404, though `GET /` names it", "a page with the documentation", "what is named should be there"
    ),
    cog=404,
    here=200,
)
def the_docs_that_the_root_names(server: Server) -> Any:
    return server.client.get("/docs").status_code


@AREA.differs(
    SYNC,
    Difference(
        "`GET /predictions` and `GET /predictions/{id}`",
        "405",
        "the predictions, newest first, and one of them",
        "a client that lost its answer, or polls, can ask for it",
    ),
    cog=[405, 405],
    here=[200, 200],
)
def predictions_are_asked_for(server: Server) -> Any:
    server.predict({"do": "call"}, id="asked")
    return [server.client.get(path).status_code for path in ("/predictions", "/predictions/asked")]


@AREA.agrees(SYNC, [200, 200, 200])
def head_is_answered_where_get_is(server: Server) -> Any:
    return [server.client.head(path).status_code for path in ("/", "/health-check", "/openapi.json")]


@AREA.agrees(SYNC, [404, 405])
def other_paths_and_methods_are_refused(server: Server) -> Any:
    return [server.client.get("/nope").status_code, server.client.delete("/predictions/x").status_code]


@AREA.agrees(SYNC, (422, ["body", "input", "count"]))
def a_problem_with_the_input_names_its_place(server: Server) -> Any:
    answer = server.predict({"count": -1})
    return answer.status_code, answer.json()["detail"][0]["loc"]


@AREA.agrees(SYNC, (422, [("body/input/count", "value_error"), ("body/input/size", "value_error")]))
def every_problem_with_the_input_is_told(server: Server) -> Any:
    return read_problems(server.predict({"count": -1, "size": "huge"}))
