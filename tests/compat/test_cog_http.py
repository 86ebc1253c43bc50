"""What clients of Cog find over HTTP: statuses, bodies and words, in a project that does not stream."""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest
from cog_projects import serve_cog_project
from serving import DEADLINE_SECONDS, Server, wait_until

from servekit.runtime.prediction import EventKind
from servekit_cli.container.client import ModelClient
from servekit_cli.container.uploads import RequestBody
from servekit_cli.inputs import PredictionInput

CODE = """
    import sys
    import time
    from pathlib import Path as LocalPath
    from typing import Any, List, Optional, Union

    from cog import BaseRunner, Input, current_scope

    class Runner(BaseRunner):
        def setup(self) -> None:
            print("loading weights")
            wait_for("gate")

        def run(self, act: str, text: Optional[str] = None, number: int = Input(default=0, ge=0),
                mode: str = Input(default="up", choices=["up", "down"]),
                either: Union[str, float] = "", several: List[int] = Input(default=[]),
                names: List[str] = Input(default=[])) -> Any:
            return getattr(self, act)(text=text, either=either, several=several, names=names)

        def echo(self, **values: Any) -> Any:
            return values

        def context(self, **_: Any) -> Any:
            return current_scope().context

        def fail(self, **_: Any) -> None:
            print("about to fail")
            raise ValueError("boom")

        def leave(self, **_: Any) -> None:
            sys.exit(3)

        def misname(self, **_: Any) -> None:
            self.record_metric("_x", 1)

        def wait(self, text: str, **_: Any) -> str:
            LocalPath(text + ".begun").touch()
            wait_for(text)
            return "waited"

        def spin(self, text: str, **_: Any) -> None:
            LocalPath(text + ".begun").touch()
            while True:
                pass

        def healthcheck(self) -> bool:
            state = LocalPath("health")
            match state.read_text() if state.exists() else "":
                case "false":
                    return False
                case "raise":
                    raise RuntimeError("no GPU")
                case "hang":
                    time.sleep(600)
            return True

    def wait_for(path: str) -> None:
        while not LocalPath(path).exists():
            time.sleep(0.005)
"""

NOT_READY = "Setup has not finished yet. Wait until it has finished, or GET /health-check for status."


@dataclass(frozen=True)
class Early:
    """What a server answered before it was ready."""

    health: httpx.Response
    prediction: httpx.Response


@pytest.fixture(scope="module")
def starting(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Server, Early]]:
    root = tmp_path_factory.mktemp("project")
    with serve_cog_project(root, CODE, SERVEKIT_HEALTHCHECK_TIMEOUT="200ms") as server, server.client() as client:
        server.wait_for(lambda line: line["event"] == "loading weights")
        early = Early(client.get("/health-check"), client.post("/predictions", json={"input": {"act": "echo"}}))
        (root / "gate").touch()
        server.wait_until_ready()
        yield server, early


@pytest.fixture(scope="module")
def server(starting: tuple[Server, Early]) -> Server:
    return starting[0]


@contextmanager
def running(client: httpx.Client, gate: Path, name: str, act: str = "wait") -> Generator[httpx.Response]:
    """Take the only slot with a prediction of this id, and see it free again."""
    body = {"input": {"act": act, "text": str(gate)}}
    accepted = client.put(f"/predictions/{name}", json=body, headers={"Prefer": "respond-async"})
    wait_until(Path(f"{gate}.begun").exists)
    yield accepted
    gate.touch()
    wait_until(lambda: client.get(f"/predictions/{name}").json()["completed_at"] is not None)


def predict(client: httpx.Client, **values: Any) -> Any:
    response = client.post("/predictions", json={"input": values})
    assert response.status_code == 200, response.text
    return response.json()


# ---------------------------------------------------------------------- before it is ready


def test_a_prediction_before_setup_has_ended_is_a_503_in_cog_s_words(starting: tuple[Server, Early]) -> None:
    answer = starting[1].prediction

    assert answer.status_code == 503
    assert {key: answer.json()[key] for key in ("error", "status")} == {"error": NOT_READY, "status": "failed"}
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["detail"]


def test_health_before_setup_has_ended(starting: tuple[Server, Early]) -> None:
    answer = starting[1].health

    assert (answer.status_code, answer.json()["status"], answer.json()["setup"]["status"]) == (
        200,
        "STARTING",
        "starting",
    )


def test_a_setup_that_failed_is_shown_with_all_it_printed(tmp_path: Path) -> None:
    code = """
        class Runner:
            def setup(self):
                print("looking for weights")
                raise RuntimeError("there are none")
            def run(self) -> str:
                return ""
    """
    with serve_cog_project(tmp_path, code) as server, server.client() as client:
        server.wait_for(lambda line: line["level"] == "error")
        health = client.get("/health-check").json()
        refused = client.post("/predictions", json={})

    assert (health["status"], health["setup"]["status"]) == ("SETUP_FAILED", "failed")
    assert "looking for weights\n" in health["setup"]["logs"]
    assert "RuntimeError: there are none" in health["setup"]["logs"]
    assert 'run.py", line' in health["setup"]["logs"]
    assert (refused.status_code, refused.json()["error"]) == (503, NOT_READY)
    assert "there are none" in refused.json()["detail"]


# ---------------------------------------------------------------------- slots


def test_a_full_server_answers_409_in_cog_s_words(client: httpx.Client, gate: Path) -> None:
    with running(client, gate, "full"):
        refused = client.post("/predictions", json={"input": {"act": "echo"}})

    assert refused.status_code == 409
    assert refused.json()["error"] == "At capacity - all prediction slots busy"
    assert refused.json()["status"] == "failed"
    assert "all slots are busy" in refused.json()["detail"]
    assert int(refused.headers["retry-after"]) > 0


def test_a_client_that_waits_for_each_answer_never_finds_the_only_slot_taken(client: httpx.Client) -> None:
    body = {"input": {"act": "echo"}}

    statuses = [client.post("/predictions", json=body).status_code for _ in range(500)]

    assert statuses == [200] * 500


# ---------------------------------------------------------------------- the body


@pytest.mark.parametrize(
    ("values", "loc", "kind", "message"),
    [
        ({}, "act", "value_error.missing", "Field required"),
        ({"act": "echo", "number": -1}, "number", "value_error", "at least 0"),
        ({"act": "echo", "number": "3"}, "number", "value_error", "expected an integer"),
        ({"act": "echo", "mode": "sideways"}, "mode", "value_error", "'up' or 'down'"),
        ({"act": 1}, "act", "value_error", "expected a string"),
        ({"act": "echo", "either": None}, "either", "value_error", "expected"),
        ({"act": "echo", "either": True}, "either", "value_error", "expected"),
        ({"act": "echo", "either": {}}, "either", "value_error", "expected"),
        ({"act": "echo", "several": 1}, "several", "value_error", "expected a list"),
    ],
)
def test_an_input_that_does_not_fit_is_told_in_cog_s_form(
    client: httpx.Client, values: dict[str, Any], loc: str, kind: str, message: str
) -> None:
    response = client.post("/predictions", json={"input": values})

    (problem,) = response.json()["detail"]
    assert response.status_code == 422
    assert (problem["loc"], problem["type"]) == (["body", "input", loc], kind)
    assert message in problem["msg"]


def test_what_is_missing_has_cog_s_very_words(client: httpx.Client) -> None:
    response = client.post("/predictions", json={"input": {}})

    assert response.json()["detail"] == [
        {"loc": ["body", "input", "act"], "msg": "Field required", "type": "value_error.missing"}
    ]


@pytest.mark.parametrize("item", ["3", True, None])
def test_an_item_that_does_not_fit_is_told_with_its_index(client: httpx.Client, item: object) -> None:
    response = client.post("/predictions", json={"input": {"act": "echo", "several": [1, item]}})

    (problem,) = response.json()["detail"]
    assert (problem["loc"], problem["type"]) == (["body", "input", "several", 1], "value_error")


@pytest.mark.parametrize(
    "more",
    [
        {"created_at": "now"},
        {"output_file_prefix": "https://example.com"},
        {"anything": [1, {"else": None}], "inptu": {}},
        {"webhook": None, "webhook_events_filter": None},
    ],
)
def test_keys_that_nobody_knows_are_ignored(client: httpx.Client, more: dict[str, Any]) -> None:
    response = client.post("/predictions", json={"input": {"act": "echo", "text": "x"}, **more})

    assert (response.status_code, response.json()["output"]["text"]) == (200, "x")


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"anything": 1, "context": {"k": 1}}, ["body", "context"]),
        ({"context": {"k": None}}, ["body", "context"]),
        ({"context": []}, ["body", "context"]),
        ({"webhook_events_filter": ["begin"]}, ["body", "webhook_events_filter", 0]),
        ({"webhook_events_filter": "start"}, ["body", "webhook_events_filter"]),
        ({"id": 3}, ["body", "id"]),
        ({"webhook": 3}, ["body", "webhook"]),
    ],
)
def test_a_bad_envelope_is_a_422_with_its_place(client: httpx.Client, body: dict[str, Any], loc: list[Any]) -> None:
    response = client.post("/predictions", json={"input": {"act": "echo"}, **body})

    (problem,) = response.json()["detail"]
    assert (response.status_code, problem["loc"], problem["type"]) == (422, loc, "value_error")


def test_a_context_of_text_reaches_the_code(client: httpx.Client) -> None:
    response = client.post("/predictions", json={"input": {"act": "context"}, "context": {"tenant": "a"}})

    assert response.json()["output"] == {"tenant": "a"}


@pytest.mark.parametrize("body", ["{", '{"input": }', "no"])
def test_bad_json_is_a_400(client: httpx.Client, body: str) -> None:
    response = client.post("/predictions", content=body)

    assert response.status_code == 400
    assert response.json()["error"] == response.json()["detail"]


def test_another_content_type_is_a_415_and_none_is_json(client: httpx.Client) -> None:
    body = b'{"input": {"act": "echo"}}'
    request = client.build_request("POST", "/predictions", content=body)
    request.headers.pop("content-type", None)

    assert client.post("/predictions", content=body, headers={"Content-Type": "text/plain"}).status_code == 415
    assert client.send(request).status_code == 200


def test_a_body_of_more_than_100_mib_is_a_413(server: Server) -> None:
    url = httpx.URL(server.url)
    with closing(HTTPConnection(url.host, url.port, timeout=DEADLINE_SECONDS)) as connection:
        connection.putrequest("POST", "/predictions")
        connection.putheader("Content-Length", str(100 * 1024 * 1024 + 1))
        connection.endheaders()

        assert connection.getresponse().status == 413


# ---------------------------------------------------------------------- values


@pytest.mark.parametrize("value", ["hello", 1.5, 1])
def test_a_union_takes_what_one_of_its_types_takes(client: httpx.Client, value: object) -> None:
    output = predict(client, act="echo", either=value)["output"]

    assert (output["either"], type(output["either"])) == (value, type(value))


@pytest.mark.parametrize("values", [[], [1, 2]])
def test_a_list_may_be_empty(client: httpx.Client, values: list[int]) -> None:
    assert predict(client, act="echo", several=values)["output"]["several"] == values


@pytest.mark.parametrize("url", ["https://example.invalid/x.png", "http://127.0.0.1:1/", "data:text/plain,hello"])
def test_text_that_looks_like_a_url_stays_text(client: httpx.Client, url: str) -> None:
    output = predict(client, act="echo", text=url, either=url, names=[url])["output"]

    assert (output["text"], output["either"], output["names"]) == (url, url, [url])


def test_an_optional_input_that_is_left_out_is_none(client: httpx.Client) -> None:
    assert predict(client, act="echo")["output"]["text"] is None


# ---------------------------------------------------------------------- failures


def test_a_failure_is_told_once_and_keeps_its_logs(client: httpx.Client) -> None:
    answer = predict(client, act="fail")

    assert (answer["status"], answer["error"]) == ("failed", "ValueError: boom")
    assert answer["logs"].startswith("about to fail\n")
    assert 'run.py", line' in answer["logs"]


def test_code_that_exits_fails_and_the_next_call_succeeds(client: httpx.Client) -> None:
    answer = predict(client, act="leave")

    assert answer["status"] == "failed"
    assert "SystemExit" in answer["error"]
    assert predict(client, act="echo")["status"] == "succeeded"


def test_a_metric_of_a_wrong_name_fails_the_prediction(client: httpx.Client) -> None:
    answer = predict(client, act="misname")

    assert answer["status"] == "failed"
    assert "metric name segment '_x' must start with a letter" in answer["error"]


# ---------------------------------------------------------------------- ids


def test_an_id_that_differs_from_that_of_the_path_is_a_422_in_cog_s_words(client: httpx.Client) -> None:
    response = client.put("/predictions/one", json={"id": "two", "input": {"act": "echo"}})

    (problem,) = response.json()["detail"]
    assert response.status_code == 422
    assert problem["loc"] == ["body", "id"]
    assert problem["msg"] == "prediction ID must match the ID supplied in the URL"
    assert problem["type"] == "value_error"


@pytest.mark.parametrize("prefer", [{}, {"Prefer": "respond-async"}])
def test_a_put_of_what_runs_shows_it_with_its_input(client: httpx.Client, gate: Path, prefer: dict[str, str]) -> None:
    with running(client, gate, "once" + str(len(prefer))) as accepted:
        again = client.put(f"/predictions/{accepted.json()['id']}", json={"input": {"act": "echo"}}, headers=prefer)

    assert (accepted.status_code, again.status_code) == (202, 202)
    assert accepted.json() == {"id": accepted.json()["id"], "status": "starting"}
    assert again.json()["status"] == "processing"
    assert again.json()["input"] == {"act": "wait", "text": str(gate)}


def test_an_id_may_be_a_urn_or_base64(client: httpx.Client) -> None:
    name = "urn:job:YWI+Yw=="

    answer = client.put(f"/predictions/{name}", json={"id": name, "input": {"act": "echo"}})

    assert (answer.status_code, answer.json()["id"]) == (200, name)
    assert client.get(f"/predictions/{name}").json() == answer.json()


def test_a_put_of_what_has_ended_gives_the_same_prediction_again(client: httpx.Client) -> None:
    body = {"input": {"act": "echo", "text": "first"}}

    first = client.put("/predictions/kept", json=body).json()
    second = client.put("/predictions/kept", json={"input": {"act": "echo", "text": "second"}})

    assert (second.status_code, second.json()) == (200, first)


def test_a_post_with_the_id_of_what_runs_is_a_409(client: httpx.Client, gate: Path) -> None:
    with running(client, gate, "taken"):
        refused = client.post("/predictions", json={"id": "taken", "input": {"act": "echo"}})

    assert refused.status_code == 409
    assert "'taken' already" in refused.json()["error"]


def test_a_post_with_the_id_of_what_has_ended_runs_again(client: httpx.Client) -> None:
    texts = ["first", "second"]

    answers = [
        client.post("/predictions", json={"id": "again", "input": {"act": "echo", "text": text}}) for text in texts
    ]

    assert [each.status_code for each in answers] == [200, 200]
    assert [each.json()["output"]["text"] for each in answers] == texts
    assert client.get("/predictions/again").json() == answers[1].json()
    assert client.get("/predictions").text.count('"again"') == 1


# ---------------------------------------------------------------------- cancel


@pytest.mark.parametrize("act", ["wait", "spin"])
def test_what_runs_is_canceled(client: httpx.Client, gate: Path, act: str) -> None:
    with running(client, gate, f"canceled-{act}", act):
        answers = [client.post(f"/predictions/canceled-{act}/cancel") for _ in range(3)]

    canceled = client.get(f"/predictions/canceled-{act}").json()
    assert answers[0].status_code == 200
    assert {each.status_code for each in answers} <= {200, 404}  # the later two may come too late
    assert (canceled["status"], canceled["error"]) == ("canceled", None)


def test_what_has_ended_or_never_was_cannot_be_canceled(client: httpx.Client) -> None:
    client.put("/predictions/ended", json={"input": {"act": "echo"}})

    answers = [client.post(f"/predictions/{name}/cancel") for name in ("ended", "unknown")]

    assert [each.status_code for each in answers] == [404, 404]
    assert "has ended (succeeded)" in answers[0].json()["error"]


# ---------------------------------------------------------------------- streams


STREAM = {"Accept": "text/event-stream"}
NO_STREAMS = "This model does not support streaming responses. Add @cog.streaming to predict() to enable SSE."


@pytest.mark.parametrize(("method", "path"), [("POST", "/predictions"), ("PUT", "/predictions/stream")])
def test_a_stream_of_what_is_not_marked_as_streaming_is_a_406(client: httpx.Client, method: str, path: str) -> None:
    response = client.request(method, path, json={"input": {"act": "echo"}}, headers=STREAM)

    assert (response.status_code, response.json()["error"]) == (406, NO_STREAMS)
    assert client.get("/predictions/stream").status_code == 404


def test_a_stream_of_what_runs_is_a_406_as_well_but_it_can_be_watched(client: httpx.Client, gate: Path) -> None:
    with running(client, gate, "watched"):
        refused = client.put("/predictions/watched", json={}, headers=STREAM)
        with client.stream("GET", "/predictions/watched", headers=STREAM) as watched:
            gate.touch()
            text = watched.read().decode()

    assert (refused.status_code, refused.json()["error"]) == (406, NO_STREAMS)
    assert text.endswith("\n\n")
    assert "event: completed" in text


async def test_the_command_line_shows_what_happens_without_a_stream_of_its_own(server: Server) -> None:
    body = RequestBody(PredictionInput(b'{"act": "fail"}', {}), {})
    async with ModelClient(server.url) as client:
        prediction = client.predict("followed", body)
        kinds = [kind async for kind, _ in prediction.events()]

    assert kinds[0] is EventKind.START
    assert EventKind.LOG in kinds
    assert prediction.outcome is not None
    assert prediction.outcome.error == "ValueError: boom"


# ---------------------------------------------------------------------- health


def test_health_of_a_server_that_is_well(client: httpx.Client) -> None:
    wait_until(lambda: client.get("/health-check").json()["status"] == "READY")

    health = client.get("/health-check").json()

    assert health["setup"]["logs"] == "loading weights\n"
    assert {"coglet", "python_sdk", "python", "servekit"} <= set(health["version"])
    assert "user_healthcheck_error" not in health


def test_health_stays_while_a_prediction_runs(server: Server, client: httpx.Client, gate: Path) -> None:
    def ask(_: int) -> str:
        with server.client() as other:
            return str(other.get("/health-check").json()["status"])

    with running(client, gate, "busy"), ThreadPoolExecutor(4) as threads:
        statuses = list(threads.map(ask, range(8)))

    assert statuses == ["BUSY"] * 8


@pytest.mark.parametrize(
    ("state", "complaint"),
    [
        ("false", "Healthcheck failed: user-defined healthcheck returned False"),
        ("raise", "Healthcheck failed: RuntimeError: no GPU"),
        ("hang", "Healthcheck failed: user-defined healthcheck timed out after 0.2 seconds"),
    ],
)
def test_health_tells_of_a_healthcheck_that_fails_and_predictions_go_on(
    server: Server, client: httpx.Client, state: str, complaint: str
) -> None:
    def ask() -> Any:
        return client.get("/health-check").json()

    path = server.root / "health"
    path.write_text(state)
    wait_until(lambda: complaint in ask().get("user_healthcheck_error", ""))
    health, answer = ask(), predict(client, act="echo")
    path.unlink()

    assert health["status"] == "UNHEALTHY"
    assert answer["status"] == "succeeded"


def test_a_worker_that_died_comes_back(tmp_path: Path) -> None:
    code = """
        import os
        class Runner:
            def run(self, die: bool) -> str:
                if die:
                    os._exit(1)
                return "alive"
    """
    with serve_cog_project(tmp_path, code) as server, server.client() as client:
        server.wait_until_ready()
        died = predict(client, die=True)
        wait_until(lambda: client.get("/health-check").json()["status"] == "READY")

        assert (died["status"], predict(client, die=False)["output"]) == ("failed", "alive")


# ---------------------------------------------------------------------- documents


def test_the_root_has_cog_s_keys(client: httpx.Client) -> None:
    answer = client.get("/").json()

    assert answer["cog_version"].startswith("0.")
    assert {key: answer[key] for key in DISCOVERY} == DISCOVERY


DISCOVERY = {
    "docs_url": "/docs",
    "openapi_url": "/openapi.json",
    "shutdown_url": "/shutdown",
    "healthcheck_url": "/health-check",
    "predictions_url": "/predictions",
    "predictions_idempotent_url": "/predictions/{prediction_id}",
    "predictions_cancel_url": "/predictions/{prediction_id}/cancel",
}


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("DELETE", "/predictions", 405)])
def test_errors_of_routes_have_cog_s_key_as_well(client: httpx.Client, method: str, path: str, status: int) -> None:
    response = client.request(method, path)

    assert response.status_code == status
    assert response.json()["error"] == response.json()["detail"]
