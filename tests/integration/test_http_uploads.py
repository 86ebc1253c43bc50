"""Files of outputs, put to a receiver by a running server."""

import json
import sys
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from put_receiver import PutReceiver, run_put_receiver
from serving import Server, StartServer

# Files are named in the input: every string that begins with a slash is one.
MAKE = """
    import asyncio, os
    from collections.abc import AsyncIterator
    from typing import Any
    from servekit import Path, current_scope

    def make(shape):
        if isinstance(shape, list):
            return [make(each) for each in shape]
        if isinstance(shape, dict):
            return {key: make(each) for key, each in shape.items()}
        if not isinstance(shape, str) or not shape.startswith("/"):
            return shape
        path = Path(f"{current_scope().temp_dir}{shape}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("content of " + shape)
        return path
"""
SYNC = f"""{MAKE}
    def predict(shape: Any = None) -> Any:
        return make(shape) if shape else [name for name in os.environ if name.startswith("SERVEKIT_")]
"""
ASYNC = f"""{MAKE}
    async def predict(shape: Any) -> Any:
        return make(shape)
"""
STREAM = f"""{MAKE}
    async def predict(shape: list[str]) -> AsyncIterator[Path]:
        for each in shape:
            yield make(each)
"""
SECRET = "t0p"


@pytest.fixture(scope="module")
def receiver() -> Generator[PutReceiver]:
    with run_put_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def server(start_server: StartServer, receiver: PutReceiver, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server that has the URL, with all that may be secret in it, from its environment."""
    root = tmp_path_factory.mktemp("project")
    (root / "predict.py").write_text("\n".join(line[4:] for line in SYNC.splitlines()))
    spec = {"predictor": "predict.py:predict", "serve": {"upload": {"retries": 1}, "host": "127.0.0.1", "port": 0}}
    (root / "servekit.yaml").write_text(yaml.safe_dump(spec))
    url = receiver.url.replace("://", f"://ann:{SECRET}@") + f"/{{id}}?sig={SECRET}"
    command = ("env", f"SERVEKIT_UPLOAD_URL={url}", sys.executable, "-m", "servekit.server", f"--spec={root}")
    server = start_server.adopt(root, *command)
    server.wait_until_ready()
    return server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def predict(client: httpx.Client, name: str, shape: Any) -> dict[str, Any]:
    """Run a prediction with an id of its own."""
    return dict(client.put(f"/predictions/{name}", json={"input": {"shape": shape}}).json())


def path_of(name: str) -> str:
    return f"/{name}?sig={SECRET}"


@pytest.mark.parametrize(
    ("name", "shape", "paths"),
    [
        ("single", "/a.txt", "/single/a.txt"),
        ("list-of-one", ["/a.txt"], ["/list-of-one/a.txt"]),
        ("same-name", ["/x/a.txt", "/y/a.txt"], ["/same-name/a.txt", "/same-name/a-1.txt"]),
        ("nested", {"a": {"b": ["/b", 1]}, "c": "d"}, {"a": {"b": ["/nested/b", 1]}, "c": "d"}),
    ],
)
def test_files_in_the_output_are_urls(
    client: httpx.Client, receiver: PutReceiver, name: str, shape: Any, paths: Any
) -> None:
    answer = predict(client, name, shape)

    assert answer["status"] == "succeeded", answer
    assert json.loads(json.dumps(answer["output"]).replace(receiver.url, "")) == paths


def test_the_receiver_has_the_content(client: httpx.Client, receiver: PutReceiver) -> None:
    predict(client, "content", ["/a.txt", "/b.png"])

    text, image = receiver.wait_for(path_of("content/a.txt")), receiver.wait_for(path_of("content/b.png"))
    assert (text.body, text.headers["content-type"]) == (b"content of /a.txt", "text/plain")
    assert (image.body, image.headers["content-type"]) == (b"content of /b.png", "image/png")


def test_the_answer_of_the_receiver_says_where_a_file_is(client: httpx.Client, receiver: PutReceiver) -> None:
    receiver.answers[path_of("kept/a.txt")] = [(201, {"Location": "https://cdn.org/kept/a.txt"})]

    assert predict(client, "kept", "/a.txt")["output"] == "https://cdn.org/kept/a.txt"


def test_a_file_that_is_not_taken_fails_its_prediction_and_no_other(
    client: httpx.Client, receiver: PutReceiver
) -> None:
    receiver.answers[path_of("broken/a.txt")] = [500, 500]

    answer = predict(client, "broken", ["/a.txt", "/b.txt"])

    assert (answer["status"], answer["output"]) == ("failed", None)
    assert answer["error"] == (
        "Failed to upload output: upload returned status 500 Internal Server Error "
        f"(a.txt to {receiver.url}, tried 2 times)"
    )
    assert answer["logs"] == ""
    assert predict(client, "after-broken", "/a.txt")["status"] == "succeeded"


def test_a_cancel_ends_the_upload_and_leaves_the_worker(
    client: httpx.Client, server: Server, receiver: PutReceiver
) -> None:
    receiver.hold(path_of("held/a.txt"))
    client.put("/predictions/held", json={"input": {"shape": "/a.txt"}}, headers={"Prefer": "respond-async"})
    receiver.wait_for(path_of("held/a.txt"))

    client.post("/predictions/held/cancel")

    assert client.put("/predictions/held", headers={"Prefer": "wait=30"}).json()["status"] == "canceled"
    assert predict(client, "after-held", "/a.txt")["status"] == "succeeded"
    assert sum(line["event"] == "worker ready" for line in server.log) == 1


def test_nobody_is_told_what_is_secret_in_the_url(client: httpx.Client, server: Server, receiver: PutReceiver) -> None:
    receiver.answers[path_of("secret/a.txt")] = [403]

    answer = predict(client, "secret", "/a.txt")

    pid = next(line["pid"] for line in server.log if line["event"] == "worker ready")
    shown = [json.dumps([answer, server.log])]
    shown += [client.get(path).text for path in ("/", "/health-check", "/openapi.json", "/predictions", "/metrics")]
    if Path("/proc").exists():
        shown.append(Path(f"/proc/{pid}/cmdline").read_text())
    assert answer["status"] == "failed"
    assert not [text for text in shown if SECRET in text]


def test_the_model_does_not_find_the_url_in_its_environment(client: httpx.Client) -> None:
    assert predict(client, "environment", None)["output"] == ["SERVEKIT_WORKER"]


def test_an_upload_holds_up_nobody_else_on_the_loop_of_a_worker(
    start_server: StartServer, receiver: PutReceiver
) -> None:
    upload = {"url": receiver.url}
    server = start_server(ASYNC, predictor="predict.py:predict", concurrency=4, isolation="thread", upload=upload)
    held = receiver.hold("/held.txt")
    with server.client() as client, ThreadPoolExecutor(1) as thread:
        first = thread.submit(predict, client, "slow", {"a": ["/held.txt"]})
        receiver.wait_for("/held.txt")

        second = predict(client, "quick", "no file")
        was_answered = "/held.txt" in receiver.answered
        held.set()

        assert (second["status"], second["output"], was_answered) == ("succeeded", "no file", False)
        assert first.result()["output"] == {"a": [f"{receiver.url}/held.txt"]}


def test_each_item_of_a_stream_is_sent_as_it_is_yielded(start_server: StartServer, receiver: PutReceiver) -> None:
    server = start_server(STREAM, f"--upload-url={receiver.url}/s", predictor="predict.py:predict")
    held = receiver.hold("/s/b.txt")
    body = {"input": {"shape": ["/a.txt", "/b.txt", "/sub/a.txt"]}}
    chunks: list[str] = []
    answered_before: list[str] = []

    with server.client() as client, client.stream("POST", "/predictions", json=body, headers=STREAMED) as answer:
        for line in answer.iter_lines():
            if '"chunk"' in line:
                chunks.append(json.loads(line.removeprefix("data: "))["chunk"])
                if len(chunks) == 1:
                    answered_before = list(receiver.answered)
                    held.set()

    assert "/s/b.txt" not in answered_before
    assert chunks == [f"{receiver.url}/s/{name}" for name in ("a.txt", "b.txt", "a-1.txt")]


STREAMED = {"Accept": "text/event-stream"}
