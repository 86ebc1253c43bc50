"""What people get wrong on their first day: the server says so, and says what to do."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Server, StartServer, wait_until

CODE = """
    class Predictor:
        def predict(self, name: str = "world") -> str:
            return f"hello {name}"
"""

RELOADING = """
import asyncio, signal, sys
from pathlib import Path
from servekit.server.run import serve
from servekit.spec import apply_overrides, load_spec

async def changes():
    changed = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, changed.set)
    Path(__file__).with_name("follows-changes").touch()
    while True:
        await changed.wait()
        changed.clear()
        yield

spec = apply_overrides(load_spec(Path(__file__).parent), {}, {"port": 0, "host": "127.0.0.1"})
sys.exit(serve(spec, changes=changes))
"""

REQUIRED = """
    class Predictor:
        def predict(self, name: str) -> str:
            return f"hello {name}"
"""


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    return start_server(CODE)


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def the_problem(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 422
    (problem,) = response.json()["detail"]
    return dict(problem)


def test_a_forgotten_input_is_told_and_not_run_on_defaults(client: httpx.Client) -> None:
    problem = the_problem(client.post("/predictions", json={"name": "x"}))

    assert problem["loc"] == ["body", "name"]
    assert 'put it below "input", as in {"input": {"name": ...}}' in problem["msg"]


def test_a_misspelt_input_is_told(client: httpx.Client) -> None:
    problem = the_problem(client.post("/predictions", json={"inputs": {"name": "x"}}))

    assert problem["msg"] == 'unknown key; did you mean "input"?'


@pytest.mark.parametrize("body", [b"", b"{}", b'{"created_at": "2026-01-01T00:00:00Z"}'])
def test_a_body_without_input_runs_when_all_inputs_have_defaults(client: httpx.Client, body: bytes) -> None:
    response = client.post("/predictions", content=body)

    assert (response.status_code, response.json()["output"]) == (200, "hello world")


def test_a_required_input_that_is_missing_with_all_the_input_is_told_with_its_place(start_server: StartServer) -> None:
    with start_server(REQUIRED).client() as client:
        bare = the_problem(client.post("/predictions", json={}))
        empty = the_problem(client.post("/predictions", json={"input": {}}))

    assert bare["loc"] == empty["loc"] == ["body", "input", "name"]
    assert 'the body has no "input"; put the values below it' in bare["msg"]
    assert "the body" not in empty["msg"]


def test_a_second_put_with_another_id_in_its_body_is_refused(client: httpx.Client) -> None:
    first = client.put("/predictions/p1", json={"input": {}, "id": "p1"})
    same = client.put("/predictions/p1", json={"input": {}, "id": "p1"})
    other = client.put("/predictions/p1", json={"input": {}, "id": "p2"})

    assert (first.status_code, same.json()) == (200, first.json())
    assert the_problem(other)["loc"] == ["body", "id"]


def test_part_of_a_second_can_be_waited_for(client: httpx.Client) -> None:
    response = client.post("/predictions", json={"input": {}}, headers={"Prefer": "wait=20.5"})

    assert response.headers["preference-applied"] == "wait=20.5"


@pytest.mark.parametrize(
    ("code", "predictor", "summary"),
    [
        ("class Predictor:\n    def predict(self", "predict.py:Predictor", "SyntaxError"),
        ("import missing_module", "predict.py:Predictor", "ModuleNotFoundError: No module named 'missing_module'"),
        ("class Predictor:\n    def predict(self) -> int: ...", "predict.py:Predictr", "Predictr"),
    ],
)
def test_a_broken_project_is_told_in_one_line_and_retried(
    start_server: StartServer, code: str, predictor: str, summary: str
) -> None:
    server = start_server(code, predictor=predictor, ready=False)

    again = server.wait_for(lambda line: "(as before); retrying in " in line["event"])
    first, *_ = (line for line in server.log if line["level"] == "error")

    assert summary in first["event"]
    assert "retrying in " in first["event"]
    assert ("ModuleNotFoundError" in summary) == ("belongs under build" in first.get("hint", ""))
    assert not {"traceback", "hint"} & set(again)
    assert None not in first.values()


@pytest.fixture
def reloading(start_server: StartServer, tmp_path: Path) -> Server:
    """A server that loads its predictor anew at SIGUSR1."""
    (tmp_path / "starter.py").write_text(RELOADING)
    (tmp_path / "servekit.yaml").write_text("predictor: predict.py:run")
    (tmp_path / "predict.py").write_text("def run() -> str:\n    return 'old'\n")
    server = start_server.adopt(tmp_path, sys.executable, str(tmp_path / "starter.py"))
    server.wait_until_ready()
    wait_until((tmp_path / "follows-changes").exists)  # before, the signal would end it
    return server


def test_a_mistake_in_new_code_is_named_and_leaves_the_old_one_healthy(reloading: Server) -> None:
    with reloading.client() as client:
        (reloading.root / "predict.py").write_text("def run(")
        reloading.process.send_signal(signal.SIGUSR1)
        line = reloading.wait_for(lambda line: line["event"].startswith("not reloaded"))
        health = client.get("/health-check").json()

    assert line["event"] == "not reloaded; the workers with the old code go on"
    assert "SyntaxError" in line["reason"]
    assert (health["status"], health["setup"]["status"]) == ("READY", "succeeded")
    assert not any("retrying" in line["event"] for line in reloading.log)
