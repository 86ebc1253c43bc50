"""Webhooks of a running server, to receivers of all kinds."""

import base64
import hashlib
import hmac
import json
import socket
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml
from receiver import Receiver, run_receiver
from serving import Server, StartServer, wait_until
from webhook_client import CODE, WebhookClient, has, told

ASYNC = {"Prefer": "respond-async"}
EVENTS = {"Accept": "text/event-stream"}
KEYS = (b"an old key of 24 bytes..", b"a new key of 24 bytes...")
SECRETS = " ".join("whsec_" + base64.b64encode(key).decode() for key in KEYS)


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with run_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def server(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """One that many tests share: each has an id of its own, which names path, file and prediction."""
    root = tmp_path_factory.mktemp("project")
    serve = {"concurrency": 300, "webhook": {"allow_private": True, "interval": "20ms"}}
    (root / "predict.py").write_text(textwrap.dedent(CODE))
    (root / "servekit.yaml").write_text(yaml.safe_dump({"predictor": "predict.py:Predictor", "serve": serve}))
    variables = (f"SERVEKIT_WEBHOOK_SECRET={SECRETS}", "WEBHOOK_AUTH_TOKEN=token")
    module = (sys.executable, "-m", "servekit.server", f"--spec={root}", "--host=127.0.0.1", "--port=0")
    server = start_server.adopt(root, "env", *variables, *module)
    server.wait_until_ready()
    return server


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in request.node.name)[-100:]


@pytest.fixture
def client(server: Server, receiver: Receiver) -> WebhookClient:
    return WebhookClient(server, receiver)


# ---------------------------------------------------------------------- what is told


def test_a_receiver_is_told_of_start_output_logs_and_end_in_order(client: WebhookClient, name: str) -> None:
    client.ask(name, f"wait:{name}1 yield:a wait:{name}2 print:x wait:{name}3")
    client.wait(name, has("start"))
    client.open(f"{name}1")
    client.wait(name, has("output"))
    client.open(f"{name}2")
    client.wait(name, has("logs"))
    client.open(f"{name}3")

    posts = client.wait_for_end(name)

    assert told(posts) == ["start", "output", "logs", "completed"]
    assert [post.sequence for post in posts] == [1, 2, 3, 4]
    assert [post.prediction["status"] for post in posts] == [*["processing"] * 3, "succeeded"]
    assert [post.prediction["output"] for post in posts] == [None, ["a"], ["a"], ["a"]]
    assert posts[-1].body == client.show(name)


@pytest.mark.parametrize("headers", [{"Prefer": "respond-async"}, {"Prefer": "wait=10"}, {"X": "sync"}, EVENTS])
def test_webhooks_go_with_every_kind_of_request(client: WebhookClient, name: str, headers: dict[str, str]) -> None:
    response = client.ask(name, "yield:a", **headers)

    assert response.status_code in (200, 202)
    assert client.wait_for_end(name)[-1].prediction["output"] == ["a"]


def test_a_post_may_have_a_webhook_without_an_id(client: WebhookClient, name: str) -> None:
    with client.server.client() as http:
        body = {"webhook": f"{client.receiver.url}/{name}", "webhook_events_filter": ["completed"]}
        answer = http.post("/predictions", json=body).json()

    assert client.wait_for_end(name)[0].prediction["id"] == answer["id"]


def test_a_filter_holds_everything_else_back(client: WebhookClient, name: str) -> None:
    client.ask(name, "print:x count:10", "completed")

    posts = client.wait_for_end(name)

    assert [(post.event, post.sequence) for post in posts] == [("completed", 1)]


def test_a_failed_prediction_is_told_with_error_and_logs(client: WebhookClient, name: str) -> None:
    client.ask(name, "print:before fail:boom", "completed")

    prediction = client.wait_for_end(name)[0].prediction

    assert (prediction["status"], "boom" in prediction["error"]) == ("failed", True)
    assert "before" in prediction["logs"]


def test_each_secret_signs_every_message(client: WebhookClient, name: str) -> None:
    client.ask(name)

    for post in client.wait_for_end(name):
        signed = f"{post.headers['webhook-id']}.{post.headers['webhook-timestamp']}.".encode() + post.body
        codes = [hmac.new(key, signed, hashlib.sha256).digest() for key in KEYS]
        assert post.headers["webhook-signature"].split(" ") == [f"v1,{base64.b64encode(c).decode()}" for c in codes]


def test_the_token_and_the_trace_go_along_and_the_secret_stays(client: WebhookClient, name: str) -> None:
    client.ask(name, "variable:SERVEKIT_WEBHOOK_SECRET", traceparent="00-ab-cd-01", tracestate="x=y")

    (*_, post) = client.wait_for_end(name)

    assert post.headers["authorization"] == "Bearer token"
    assert (post.headers["traceparent"], post.headers["tracestate"]) == ("00-ab-cd-01", "x=y")
    assert post.prediction["output"] == ["not set"]


def test_a_second_put_is_told_of_no_second_time(client: WebhookClient, name: str) -> None:
    client.ask(name, "yield:a", "completed")
    client.wait_for_end(name)

    client.ask(name, "yield:a", "completed")
    client.ask(f"{name}-after", "", "completed")
    client.wait_for_end(f"{name}-after")

    assert len(client.receiver.at(f"/{name}")) == 1


def test_a_client_that_goes_cancels_and_the_receiver_is_told(client: WebhookClient, name: str) -> None:
    body = json.dumps({"input": {"steps": "wait:never"}, "webhook": f"{client.receiver.url}/{name}"}).encode()
    head = f"POST /predictions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    port = httpx.URL(client.server.url).port
    assert port is not None
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head + body)
        client.wait(name, has("start"))

    posts = client.wait_for_end(name)

    assert (told(posts), posts[-1].prediction["status"]) == (["start", "completed"], "canceled")


# ---------------------------------------------------------------------- receivers


def test_the_end_is_told_until_it_is_taken(client: WebhookClient, name: str) -> None:
    client.receiver.answers[f"/{name}"] = [503, (429, {"Retry-After": "0"})]
    client.ask(name, "yield:a", "completed")

    posts = client.wait(name, lambda posts: len(posts) == 3)

    assert len({(post.headers["webhook-id"], post.sequence, post.body) for post in posts}) == 1


def test_a_receiver_that_says_no_is_not_asked_again(client: WebhookClient, name: str) -> None:
    client.receiver.answers[f"/{name}"] = [400]
    client.ask(name, "yield:a", "completed")

    line = client.server.wait_for(lambda line: line.get("prediction") == name and line["level"] == "error")

    assert (line["reason"], line["receiver"]) == ("it answered 400", client.receiver.url)
    assert len(client.receiver.at(f"/{name}")) == 1


def test_a_redirect_is_not_followed(client: WebhookClient, name: str) -> None:
    client.receiver.answers[f"/{name}"] = [(307, {"Location": f"{client.receiver.url}/{name}-there"})]
    client.ask(name, "yield:a", "completed")

    line = client.server.wait_for(lambda line: line.get("prediction") == name and line["level"] == "error")

    assert "redirects are not followed" in line["reason"]
    assert client.receiver.at(f"/{name}-there") == []


def test_a_slow_receiver_gets_few_messages_and_the_last_state(client: WebhookClient, name: str) -> None:
    held = client.receiver.hold(f"/{name}")
    client.ask(name, "count:2000")
    client.wait(name, has("start"))
    with client.server.client() as http:
        wait_until(lambda: http.get(f"/predictions/{name}").json()["status"] == "succeeded")
    held.set()

    posts = client.wait_for_end(name)

    assert told(posts) == ["start", "completed"]
    assert posts[-1].prediction["output"] == [str(number) for number in range(2000)]


def test_a_receiver_that_hangs_slows_nobody_else(client: WebhookClient, name: str) -> None:
    with run_receiver("127.0.0.2") as hanging:
        held = hanging.hold(f"/{name}")
        for _ in range(200):
            body = {"input": {"steps": "yield:a"}, "webhook": f"{hanging.url}/{name}"}
            with client.server.client() as http:
                assert http.post("/predictions", json=body, headers=ASYNC).status_code == 202
        hanging.wait(f"/{name}", lambda posts: len(posts) == 16)

        for number in range(10):
            client.ask(f"{name}-{number}")
            client.wait_for_end(f"{name}-{number}")

        assert len(hanging.posts) == 16
        held.set()
        hanging.wait(f"/{name}", lambda posts: sum(post.event == "completed" for post in posts) == 200)


def test_deliveries_are_counted_by_outcome(client: WebhookClient, name: str) -> None:
    def count() -> dict[str, float]:
        with client.server.client() as http:
            lines = [line for line in http.get("/metrics").text.splitlines() if "webhook_deliveries_total{" in line]
        return {line.split('"')[1]: float(line.split()[-1]) for line in lines}

    before = count()
    client.receiver.answers[f"/{name}"] = [500]
    client.ask(name, "yield:a", "completed")
    client.wait(name, lambda posts: len(posts) == 2)
    wait_until(lambda: count()["delivered"] > before["delivered"])

    assert {key: value - before[key] for key, value in count().items()} == {
        "delivered": 1,
        "dropped": 0,
        "retried": 1,
        "failed": 0,
    }


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("more", "loc"),
    [
        ({"webhook": 3}, ["body", "webhook"]),
        ({"webhook": "example.com"}, ["body", "webhook"]),
        ({"webhook": "file:///etc/passwd"}, ["body", "webhook"]),
        ({"webhook": "https://example.com", "webhook_events_filter": "all"}, ["body", "webhook_events_filter"]),
        ({"webhook": "https://example.com", "webhook_events_filter": ["end"]}, ["body", "webhook_events_filter", 0]),
    ],
)
def test_a_wrong_webhook_is_a_422_with_the_place(server: Server, more: dict[str, Any], loc: list[str | int]) -> None:
    with server.client() as client:
        response = client.post("/predictions", json={"input": {}, **more})

    assert (response.status_code, response.json()["detail"][0]["loc"]) == (422, loc)


def test_private_receivers_are_told_nothing_by_default(start_server: StartServer, receiver: Receiver) -> None:
    server = start_server(CODE, isolation="thread")
    port = receiver.server_address[1]
    with server.client() as client:
        plain = client.post("/predictions", json={"webhook": f"http://127.0.0.1:{port}/private"})
        hidden = client.put("/predictions/hidden", json={"webhook": f"http://2130706433:{port}/private"})

    line = server.wait_for(lambda line: line.get("prediction") == "hidden" and line["level"] == "error")

    assert (plain.status_code, hidden.status_code) == (422, 200)
    assert "not on the public internet" in line["reason"]
    assert receiver.at("/private") == []
