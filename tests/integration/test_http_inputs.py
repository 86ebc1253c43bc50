"""Inputs of special kinds over HTTP: secrets, large ones, and those that only the worker can refuse."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from serving import Server, StartServer

CODE = """
    import asyncio
    from pathlib import Path as File
    from typing import Annotated

    from pydantic import AfterValidator

    from servekit import BasePredictor, Path, Secret


    def check(value: int) -> int:
        if value % 2:
            raise ValueError("it must be even")
        return value


    class Predictor(BasePredictor):
        async def predict(
            self,
            text: str = "",
            token: Secret = Secret("none"),
            even: Annotated[int, AfterValidator(check)] = 0,
            image: Path | None = None,
            wait: str = "",
        ) -> str:
            while wait and not File(wait).exists():
                await asyncio.sleep(0.005)
            return text or token.get_secret_value()[::-1]
"""


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    return start_server(CODE, queue={"timeout": "100ms"})


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def predict(client: httpx.Client, **values: object) -> httpx.Response:
    return client.post("/predictions", json={"input": values})


def test_a_secret_reaches_the_predictor_and_nobody_else(server: Server, client: httpx.Client) -> None:
    answer = predict(client, token="hunter2").json()
    shown = client.get(f"/predictions/{answer['id']}")
    events = client.get(f"/predictions/{answer['id']}", headers={"Accept": "text/event-stream"})

    assert answer["output"] == "2retnuh"
    assert "hunter2" not in shown.text + events.text + str(answer["input"]) + str(server.log)
    assert set(answer["input"]["token"]) == {"*"}


def test_a_wrong_secret_is_refused_without_being_shown(server: Server, client: httpx.Client) -> None:
    response = predict(client, token={"key": "hunter2"})

    assert response.status_code == 422
    assert "hunter2" not in response.text + str(server.log)


def test_what_only_the_worker_can_check_is_a_422_of_the_same_form(client: httpx.Client) -> None:
    response = predict(client, even=3)

    (problem,) = response.json()["detail"]
    assert response.status_code == 422
    assert problem["loc"] == ["body", "input", "even"]
    assert "it must be even" in problem["msg"]
    assert problem["value"] == 3


def test_a_request_that_was_refused_leaves_no_record(client: httpx.Client) -> None:
    refused = client.put("/predictions/again", json={"input": {"even": 3}})
    mended = client.put("/predictions/again", json={"input": {"even": 2, "text": "x"}})

    assert (refused.status_code, mended.status_code) == (422, 200)
    assert mended.json()["output"] == "x"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "http://169.254.169.254/latest", "file:///etc/passwd", "x"])
def test_a_file_that_may_not_be_fetched_is_a_422(client: httpx.Client, url: str) -> None:
    response = predict(client, image=url)

    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["body", "input", "image"]


def test_ten_megabytes_go_through_both_ways(client: httpx.Client) -> None:
    text = "äx" * 5_000_000

    answer = predict(client, text=text).json()

    assert (answer["output"], answer["input"]["text"]) == (text, text)


def test_a_wait_in_the_queue_that_takes_too_long_is_a_503(client: httpx.Client, tmp_path: Path) -> None:
    gate = f"{tmp_path}/gate"
    client.put("/predictions/running", json={"input": {"wait": gate}}, headers={"Prefer": "respond-async"})

    response = client.put("/predictions/waiting", json={"input": {}})
    client.post("/predictions/running/cancel")

    assert response.status_code == 503
    assert "serve.queue.timeout" in response.json()["detail"]
    assert int(response.headers["retry-after"]) > 0
    assert client.get("/predictions/waiting").status_code == 404
