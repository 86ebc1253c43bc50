"""Predictions over HTTP: made, shown, listed, canceled, refused."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Server, StartServer

CODE = """
    import asyncio
    from pathlib import Path

    class Predictor:
        async def predict(self, text: str = "", wait: str = "", count: int = 1) -> str:
            print("running", text)
            if text == "raise":
                raise RuntimeError("told to")
            if text == "exit":
                import os; os._exit(7)
            if wait:
                # Ends when the test makes the file, or when it is canceled.
                try:
                    Path(wait + ".started").touch()
                    while not Path(wait).exists():
                        await asyncio.sleep(0.005)
                except BaseException as error:
                    Path(wait + ".ended").write_text(type(error).__name__)
                    raise
            return text * count
"""


@pytest.fixture(scope="module", params=["process", "thread"])
def server(start_server: StartServer, request: pytest.FixtureRequest) -> Server:
    return start_server(CODE, concurrency=4, queue={"max": 2}, isolation=request.param)


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def anyone(client: httpx.Client, tmp_path: Path) -> Iterator[Any]:
    """Make predictions that wait for a file, and let them all go at the end."""
    gates: list[Path] = []

    def make(name: str, **headers: str) -> httpx.Response:
        gate = tmp_path / name
        gates.append(gate)
        body = {"input": {"text": name, "wait": str(gate)}}
        return client.put(f"/predictions/{name}", json=body, headers={"Prefer": "respond-async", **headers})

    yield make
    for gate in gates:
        gate.touch()
        client.put(f"/predictions/{gate.name}", headers={"Prefer": "wait=30"})


def predict(client: httpx.Client, **values: object) -> httpx.Response:
    return client.post("/predictions", json={"input": values})


def test_a_prediction_is_answered_with_everything_about_it(client: httpx.Client) -> None:
    response = predict(client, text="ab", count=2)

    answer = response.json()
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert list(answer) == [
        "id", "status", "input", "output", "error", "logs", "metrics", "created_at", "started_at", "completed_at",
    ]  # fmt: skip
    assert (answer["status"], answer["output"], answer["error"]) == ("succeeded", "abab", None)
    assert answer["input"] == {"text": "ab", "count": 2}
    assert answer["logs"] == "running ab\n"
    assert {"predict_time", "queue_time", "time_to_first_output"} <= set(answer["metrics"])
    assert answer["created_at"] <= answer["started_at"] <= answer["completed_at"]


def test_a_body_may_be_missing(client: httpx.Client) -> None:
    assert client.post("/predictions").json()["output"] == ""


def test_a_failed_prediction_is_a_200_with_its_logs_and_traceback(client: httpx.Client) -> None:
    response = predict(client, text="raise")

    answer = response.json()
    assert (response.status_code, answer["status"]) == (200, "failed")
    assert answer["error"] == "RuntimeError: told to"
    assert answer["logs"].startswith("running raise\nTraceback")


def test_the_log_has_the_traceback_and_not_the_input(server: Server, client: httpx.Client) -> None:
    name = predict(client, text="raise", wait="").json()["id"]

    line = server.wait_for(lambda line: line.get("prediction") == name and "traceback" in line)

    assert "told to" in line["traceback"]
    assert "servekit" not in line["traceback"]
    assert not any('"text"' in json.dumps(line) for line in server.log)


def test_each_request_is_one_line_of_log(server: Server, client: httpx.Client) -> None:
    name = predict(client, text="x").json()["id"]

    line = server.wait_for(lambda line: line["event"] == "request" and line.get("prediction") == name)

    assert (line["method"], line["path"], line["status"], line["level"]) == ("POST", "/predictions", 200, "info")
    assert 0 < line["duration"] < 30


def test_a_prediction_can_be_read_again(client: httpx.Client) -> None:
    made = predict(client, text="x")

    shown = client.get(f"/predictions/{made.json()['id']}")

    assert (shown.status_code, shown.json()) == (200, made.json())


def test_an_unknown_id_is_a_404(client: httpx.Client) -> None:
    for response in (client.get("/predictions/nobody"), client.post("/predictions/nobody/cancel")):
        assert response.status_code == 404
        assert "'nobody'" in response.json()["detail"]


@pytest.mark.parametrize("name", ["a%2Fb", "a/b", "..%2F..%2Fetc", "%00", "a%20b", "x" * 129, "%C3%A4"])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_an_id_with_anything_strange_is_a_422(client: httpx.Client, method: str, name: str) -> None:
    response = client.request(method, f"/predictions/{name}")

    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["path", "id"]


def test_an_id_may_be_percent_encoded(client: httpx.Client) -> None:
    client.put("/predictions/a~b.c", json={"input": {"text": "x"}})

    assert client.get("/predictions/%61%7Eb%2Ec").json()["id"] == "a~b.c"


def test_a_post_with_a_taken_id_is_a_409_that_says_so(client: httpx.Client) -> None:
    client.post("/predictions", json={"id": "taken", "input": {}})

    response = client.post("/predictions", json={"id": "taken", "input": {}})

    assert response.status_code == 409
    assert "'taken'" in response.json()["detail"]


def test_a_put_again_gets_the_same_prediction_whatever_its_body_says(client: httpx.Client) -> None:
    first = client.put("/predictions/once", json={"input": {"text": "a"}})

    second = client.put("/predictions/once", json={"input": {"text": "b"}})

    assert second.status_code == 200
    assert second.json() == first.json()


def test_a_put_of_a_running_prediction_is_a_202_with_what_there_is(client: httpx.Client, anyone: Any) -> None:
    made = anyone("running")

    again = client.put("/predictions/running", json={"input": {"text": "other"}})

    assert (made.status_code, again.status_code) == (202, 202)
    assert again.json()["input"] == made.json()["input"]


def test_two_puts_at_once_make_one_prediction(client: httpx.Client) -> None:
    def put(number: int) -> str:
        body = {"input": {"text": str(number)}}
        return str(client.put("/predictions/twins", json=body, headers={"Prefer": "wait=30"}).json()["output"])

    with ThreadPoolExecutor(8) as threads:
        outputs = set(threads.map(put, range(8)))

    assert len(outputs) == 1


def test_a_put_with_another_id_in_its_body_is_a_422(client: httpx.Client) -> None:
    response = client.put("/predictions/one", json={"id": "two"})

    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["body", "id"]


def test_respond_async_is_answered_at_once_and_goes_on(client: httpx.Client, anyone: Any, tmp_path: Path) -> None:
    response = anyone("later")

    assert response.status_code == 202
    assert response.headers["preference-applied"] == "respond-async"
    assert response.headers["location"] == "/predictions/later"
    assert response.json()["status"] in ("starting", "processing")
    (tmp_path / "later").touch()
    done = client.put("/predictions/later", headers={"Prefer": "wait=30"})
    assert (done.status_code, done.json()["output"]) == (200, "later")


def test_a_wait_that_runs_out_is_a_202(anyone: Any) -> None:
    response = anyone("slow", Prefer="wait=0")

    assert response.status_code == 202
    assert response.headers["preference-applied"] == "wait=0"


def test_a_wait_that_suffices_is_a_200(client: httpx.Client) -> None:
    response = client.post("/predictions", json={"input": {"text": "x"}}, headers={"Prefer": "wait=30"})

    assert (response.status_code, response.json()["output"]) == (200, "x")
    assert response.headers["preference-applied"] == "wait=30"


def test_a_cancel_ends_a_prediction(client: httpx.Client, anyone: Any) -> None:
    anyone("unwanted")

    response = client.post("/predictions/unwanted/cancel")

    assert response.status_code == 200
    done = client.put("/predictions/unwanted", headers={"Prefer": "wait=30"}).json()
    assert done["status"] == "canceled"
    assert done["error"] == "canceled: a client asked for it"


def test_a_cancel_after_the_end_changes_nothing(client: httpx.Client) -> None:
    answer = predict(client, text="x").json()

    response = client.post(f"/predictions/{answer['id']}/cancel")

    assert (response.status_code, response.json()) == (200, answer)


def test_the_list_is_newest_first_and_paged(client: httpx.Client) -> None:
    made = [predict(client, text=str(number)).json()["id"] for number in range(5)]

    first = client.get("/predictions", params={"limit": 2}).json()
    second = client.get(first["next"]).json()

    found = [each["id"] for each in (*first["results"], *second["results"])]
    assert found == made[:0:-1]
    assert set(first["results"][0]) == {
        "id", "status", "error", "metrics", "created_at", "started_at", "completed_at",
    }  # fmt: skip


def test_the_last_page_has_no_next(client: httpx.Client) -> None:
    predict(client)
    page = client.get("/predictions", params={"limit": 1000}).json()

    assert page["next"] is None


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=", "cursor=x", "cursor=-1", "limit=²"])
def test_a_wrong_page_is_a_422(client: httpx.Client, query: str) -> None:
    response = client.get(f"/predictions?{query}")

    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["query", query.partition("=")[0]]


def test_a_full_queue_is_a_503_with_retry_after(client: httpx.Client, anyone: Any) -> None:
    statuses = [anyone(f"full-{number}").status_code for number in range(6)]

    response = predict(client)

    assert statuses == [202] * 6
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) >= 1
    assert "serve.queue.max" in response.json()["detail"]


def test_a_worker_that_dies_fails_its_prediction_and_says_why(start_server: StartServer) -> None:
    server = start_server(CODE)
    with server.client() as client:
        answer = predict(client, text="exit").json()
        server.wait_for(lambda line: line["event"] == "worker ready" and line["worker"] == 2)
        again = predict(client, text="again").json()

    assert answer["status"] == "failed"
    assert "exited with code 7" in answer["error"]
    assert again["output"] == "again"
