"""What a server says of itself: discovery, the OpenAPI document, and the page at /docs."""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Server, StartServer

CODE = """
    from collections.abc import Iterator
    from enum import Enum
    from typing import Literal

    from pydantic import BaseModel

    from servekit import BasePredictor, Input


    class Color(Enum):
        RED = "red"
        BLUE = "blue"


    class Box(BaseModel):
        label: str
        children: list["Box"] = []


    class Predictor(BasePredictor):
        def predict(
            self,
            text: str = Input(description="What to <b>say</b>", max_length=20),
            times: int = Input(default=2, ge=1, le=5),
            color: Color = Color.RED,
            mode: Literal["fast", "slow"] | None = None,
            box: Box | None = None,
            loud: bool = False,
        ) -> Iterator[Box]:
            for number in range(times):
                yield Box(label=f"{text.upper() if loud else text} {color.value} {number}")
"""


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    return start_server(CODE)


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def document(client: httpx.Client) -> Any:
    return client.get("/openapi.json").json()


def test_the_root_names_every_route(client: httpx.Client) -> None:
    answer = client.get("/").json()

    assert answer["predictions_url"] == "/predictions"
    assert answer["healthcheck_url"] == "/health-check"
    assert answer["servekit_version"]
    for path in ("docs_url", "openapi_url", "healthcheck_url", "predictions_url", "liveness_url", "readiness_url"):
        assert client.get(answer[path]).status_code == 200


@pytest.mark.parametrize("path", ["/", "/openapi.json", "/docs", "/predictions", "/predictions/seen"])
def test_head_tells_what_get_would_without_the_body(client: httpx.Client, path: str) -> None:
    client.put("/predictions/seen", json={"input": {"text": "a"}})

    head, get = client.head(path, headers={"Accept": "text/event-stream"}), client.get(path)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(get.content))


def test_the_document_has_the_model_s_real_input_and_output(document: Any) -> None:
    schemas = document["components"]["schemas"]

    assert document["openapi"].startswith("3.1")
    assert list(schemas["Input"]["properties"]) == ["text", "times", "color", "mode", "box", "loud"]
    assert schemas["Input"]["properties"]["times"]["maximum"] == 5
    assert schemas["Input"]["required"] == ["text"]
    assert schemas["Output"]["type"] == "array"


def test_every_reference_in_the_document_leads_somewhere(document: Any) -> None:
    references = find_references(document)

    assert any("Box" in each for each in references)
    for reference in references:
        assert reference.startswith("#/")
        node = document
        for part in reference[2:].split("/"):
            node = node[part]


def test_every_route_is_described_with_every_status_it_answers(document: Any) -> None:
    statuses = {
        f"{method.upper()} {path}": set(route["responses"])
        for path, routes in document["paths"].items()
        for method, route in routes.items()
        if method != "parameters"
    }

    assert statuses["POST /predictions"] == {"200", "202", "400", "409", "413", "415", "422", "429", "503"}
    assert statuses["PUT /predictions/{id}"] == {"200", "202", "400", "413", "415", "422", "429", "503"}
    assert statuses["POST /predictions/batch"] == {"200", "400", "413", "415", "422", "503"}
    assert statuses["GET /predictions/{id}"] == {"200", "204", "400", "404", "422", "429"}
    assert statuses["POST /predictions/{id}/cancel"] == {"200", "404", "422"}
    assert set(statuses) == {
        "GET /", "GET /predictions", "POST /predictions", "GET /predictions/{id}", "PUT /predictions/{id}",
        "POST /predictions/{id}/cancel", "POST /predictions/batch", "GET /health-check", "GET /livez", "GET /readyz",
        "GET /openapi.json", "GET /docs", "GET /metrics", "POST /shutdown",
    }  # fmt: skip


def test_the_document_is_not_there_before_the_model_is(start_server: StartServer) -> None:
    server = start_server("raise RuntimeError('no')", ready=False)
    server.wait_for(lambda line: line["level"] == "error")

    with server.client() as client:
        response = client.get("/openapi.json")

    assert response.status_code == 503
    assert "RuntimeError: no" in response.json()["detail"]


def test_the_page_needs_nothing_from_elsewhere(client: httpx.Client) -> None:
    response = client.get("/docs")

    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "//" not in response.text.replace("<!doctype", "")


@pytest.mark.browser
def test_a_prediction_can_be_run_from_the_page(server: Server, tmp_path: Path) -> None:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no chromium on this machine")
    browser = Browser(program, tmp_path)
    try:
        page = browser.open(f"{server.url}/docs")
        page.wait_for("document.querySelectorAll('#fields label').length == 6")
        routes = page.evaluate("document.querySelectorAll('#routes tr').length")
        bold = page.evaluate("document.querySelectorAll('#fields b').length")
        page.evaluate("document.getElementById('in-text').value = 'hi'")
        page.evaluate("document.getElementById('in-color').value = '\"blue\"'")
        page.evaluate("document.getElementById('in-loud').checked = true")
        page.evaluate("document.getElementById('run').click()")
        page.wait_for("document.getElementById('status').textContent == 'succeeded'")
        output = page.evaluate("document.getElementById('output').textContent")
        page.evaluate("document.getElementById('in-times').value = '9'")
        page.evaluate("document.getElementById('run').click()")
        page.wait_for("document.getElementById('status').textContent.startsWith('422')")
        problem = page.evaluate("document.getElementById('status').textContent")
    finally:
        browser.close()

    assert [json.loads(line)["label"] for line in output.splitlines()] == ["HI blue 0", "HI blue 1"]
    assert "input.times: expected at most 5, got 9" in problem
    assert routes > 10
    assert bold == 0


def find_references(document: Any) -> list[str]:
    return re.findall(r'"\$ref": ?"([^"]+)"', json.dumps(document))


class Browser:
    """A headless chromium, told what to do over two pipes."""

    def __init__(self, program: str, directory: Path) -> None:
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        # The browser reads from descriptor 3 and writes to 4.
        launch = (
            "import fcntl, os, sys\n"
            "given = [fcntl.fcntl(int(each), fcntl.F_DUPFD, 10) for each in sys.argv[1:3]]\n"
            "os.dup2(given[0], 3), os.dup2(given[1], 4)\n"
            "os.execv(sys.argv[3], sys.argv[3:])"
        )
        flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe")
        profile = f"--user-data-dir={directory}/profile"
        self._process = subprocess.Popen(
            [sys.executable, "-c", launch, str(theirs_in), str(theirs_out), program, *flags, profile, "about:blank"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._out = os.fdopen(ours_out, "wb", buffering=0)
        self._in = os.fdopen(ours_in, "rb", buffering=0)
        self._numbers = itertools.count(1)
        self._rest = b""
        self.session: str | None = None

    def open(self, url: str) -> "Browser":
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")
        self.call("Page.navigate", url=url)
        while json.loads(self._read()).get("method") != "Page.loadEventFired":
            pass
        return self

    def evaluate(self, expression: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, condition: str) -> None:
        check = f"new Promise(done => {{ const look = () => ({condition}) ? done(1) : setTimeout(look, 20); look(); }})"
        self.evaluate(check)

    def call(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self.session is not None:
            message["sessionId"] = self.session
        self._out.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = json.loads(self._read())
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def close(self) -> None:
        self._process.kill()
        self._process.wait(30)
        self._out.close()
        self._in.close()

    def _read(self) -> bytes:
        while b"\0" not in self._rest:
            data = self._in.read(1 << 16)
            assert data, "the browser is gone"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\0")
        return line
