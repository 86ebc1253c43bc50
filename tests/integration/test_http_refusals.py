"""Requests that cannot be served: each is told why, in one form, and harms nothing."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from serving import Server, StartServer

CODE = """
    class Predictor:
        def predict(self, text: str, count: int = 1) -> str:
            return text * count
"""
LIMIT = 100_000


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    return start_server(CODE, max_body=LIMIT)


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def send_raw(server: Server, request: bytes, *rest: bytes) -> tuple[int, dict[str, Any]]:
    """Send bytes as they are, and return status and body of the answer."""
    url = httpx.URL(server.url)
    with socket.create_connection((url.host, url.port), 30) as connection:
        connection.sendall(request)
        for part in rest:
            try:
                connection.sendall(part)
            except OSError:
                break  # the server has had enough
        with connection.makefile("rb") as answer:
            status = int(answer.readline().split()[1])
            headers = dict(line.strip().lower().split(b": ", 1) for line in iter(answer.readline, b"\r\n"))
            return status, json.loads(answer.read(int(headers[b"content-length"])))


def post(**headers: str) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
    return f"POST /predictions HTTP/1.1\r\nHost: x\r\n{''.join(lines)}\r\n".encode()


@pytest.mark.parametrize("body", ["{", "nonsense", '{"input": }'])
def test_bad_json_is_a_400(client: httpx.Client, body: str) -> None:
    response = client.post("/predictions", content=body)

    assert response.status_code == 400
    assert "not valid JSON" in response.json()["detail"]


def test_an_input_that_does_not_fit_is_a_422_with_path_message_and_value(client: httpx.Client) -> None:
    response = client.post("/predictions", json={"input": {"text": "x", "count": "three"}})

    (problem,) = response.json()["detail"]
    assert response.status_code == 422
    assert (problem["loc"], problem["value"]) == (["body", "input", "count"], "three")
    assert "expected an integer" in problem["msg"]


def test_all_problems_are_told_at_once(client: httpx.Client) -> None:
    response = client.post("/predictions", json={"input": {"txt": "x", "count": None}})

    assert {tuple(problem["loc"]) for problem in response.json()["detail"]} == {
        ("body", "input", "txt"),
        ("body", "input", "text"),
        ("body", "input", "count"),
    }


def test_json_that_is_too_deep_is_refused(client: httpx.Client) -> None:
    deep = '{"input": {"text": ' + "[" * 40_000 + "]" * 40_000 + "}}"

    response = client.post("/predictions", content=deep)

    assert response.status_code in (400, 422)
    assert client.post("/predictions", json={"input": {"text": "x"}}).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "json"])
def test_another_content_type_is_a_415(client: httpx.Client, kind: str) -> None:
    response = client.post("/predictions", content='{"input": {"text": "x"}}', headers={"Content-Type": kind})

    assert response.status_code == 415
    assert kind in response.json()["detail"]


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.x+json"])
def test_json_by_another_name_is_json(client: httpx.Client, kind: str) -> None:
    response = client.post("/predictions", content='{"input": {"text": "x"}}', headers={"Content-Type": kind})

    assert response.status_code == 200


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x"])
def test_a_body_that_says_it_is_too_large_is_a_413_before_it_is_sent(server: Server, kind: str) -> None:
    status, body = send_raw(server, post(Content_Type=kind, Content_Length=str(LIMIT + 1)))

    assert status == 413
    assert "serve.max_body" in body["detail"]


def test_a_body_of_200_mb_is_a_413(client: httpx.Client) -> None:
    response = client.post("/predictions", content=b"x" * 200_000_000)

    assert response.status_code == 413


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x"])
def test_a_body_in_chunks_is_a_413_when_it_gets_too_large(server: Server, kind: str) -> None:
    part = b"--x\r\nContent-Disposition: form-data; name=text\r\n\r\n" if "x" in kind else b""
    chunks = [b"%x\r\n%b\r\n" % (10_000 + len(part), part + b" " * 10_000)]
    chunks += [b"2710\r\n" + b" " * 10_000 + b"\r\n"] * (LIMIT // 10_000 + 1)

    status, body = send_raw(server, post(Content_Type=kind, Transfer_Encoding="chunked"), *chunks)

    assert status == 413
    assert "serve.max_body" in body["detail"]


def test_a_client_that_goes_while_it_sends_harms_nothing(server: Server, client: httpx.Client) -> None:
    url = httpx.URL(server.url)
    with socket.create_connection((url.host, url.port), 30) as connection:
        connection.sendall(post(Content_Length="1000") + b'{"input"')

    server.wait_for(lambda line: line.get("status") == 499)
    assert client.post("/predictions", json={"input": {"text": "x"}}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/predictions", "GET, HEAD, POST"),
        ("POST", "/predictions/x", "GET, HEAD, PUT"),
        ("GET", "/predictions/x/cancel", "POST"),
        ("POST", "/livez", "GET, HEAD"),
        ("POST", "/metrics", "GET, HEAD"),
        ("POST", "/docs", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_a_405_that_names_the_right_ones(
    client: httpx.Client, method: str, path: str, allowed: str
) -> None:
    response = client.request(method, path)

    assert (response.status_code, response.headers["allow"]) == (405, allowed)
    assert response.json()["detail"] == f"{method} is not possible here; possible are {allowed}"


@pytest.mark.parametrize("path", ["/nothing", "/predictionsx", "/predictions/"])
def test_an_unknown_path_is_a_404_or_the_list(client: httpx.Client, path: str) -> None:
    response = client.get(path)

    assert response.status_code == (200 if path == "/predictions/" else 404)


def test_shutdown_is_forbidden_unless_allowed(client: httpx.Client) -> None:
    response = client.post("/shutdown")

    assert response.status_code == 403
    assert "serve.allow_shutdown" in response.json()["detail"]
