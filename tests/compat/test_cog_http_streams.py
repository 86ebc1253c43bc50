"""Event streams of a Cog project whose author marked it as streaming, with a short history of events."""

import json
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest
from cog_projects import serve_cog_project
from serving import Server, wait_until

CODE = """
    import asyncio
    from pathlib import Path as LocalPath
    from typing import AsyncIterator

    from cog import BaseRunner, streaming

    class Runner(BaseRunner):
        @streaming
        async def run(self, count: int = 2, gate: str = "") -> AsyncIterator[str]:
            for number in range(count):
                yield f"chunk-{number + 1}"
            if gate:
                LocalPath(gate + ".begun").touch()
                while not LocalPath(gate).exists():
                    await asyncio.sleep(0.005)
"""

STREAM = {"Accept": "text/event-stream"}
GONE = 499
TRUNCATED = "SSE stream replay truncated; events were dropped"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    root = tmp_path_factory.mktemp("project")
    with serve_cog_project(root, CODE, COG_STREAM_HISTORY_CAPACITY="2") as server:
        server.wait_until_ready()
        yield server


def begin(client: httpx.Client, gate: Path, name: str) -> None:
    """Have a prediction yield four chunks and wait for the gate."""
    body = {"input": {"count": 4, "gate": str(gate)}}
    client.put(f"/predictions/{name}", json=body, headers={"Prefer": "respond-async"})
    wait_until(Path(f"{gate}.begun").exists)
    wait_until(lambda: len(client.get(f"/predictions/{name}").json()["output"] or ()) == 4)


def names(text: str) -> list[str]:
    return [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]


def end(client: httpx.Client, gate: Path, name: str) -> None:
    gate.touch()
    wait_until(lambda: client.get(f"/predictions/{name}").json()["status"] == "succeeded")


def test_a_body_may_be_missing(client: httpx.Client) -> None:
    response = client.post("/predictions")

    assert (response.status_code, response.json()["output"]) == (200, ["chunk-1", "chunk-2"])


def test_who_asks_for_a_prediction_gets_every_event_of_it(client: httpx.Client) -> None:
    response = client.post("/predictions", json={"input": None}, headers=STREAM)

    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-cache"
    assert names(response.text) == ["start", "output", "output", "completed"]
    assert 'data: {"chunk":"chunk-1","index":0}\n' in response.text
    assert 'data: {"chunk":"chunk-2","index":1}\n' in response.text


def test_an_async_generator_streams_as_it_yields(client: httpx.Client, gate: Path) -> None:
    body = {"input": {"count": 1, "gate": str(gate)}}
    with client.stream("POST", "/predictions", json=body, headers=STREAM) as response:
        lines = response.iter_lines()

        assert next(line for line in lines if "chunk-1" in line)  # long before it ends
        gate.touch()
        assert "event: completed" in list(lines)


def test_a_prediction_goes_on_until_its_last_reader_has_gone(server: Server, client: httpx.Client, gate: Path) -> None:
    def status() -> str:
        return str(client.get("/predictions/shared").json()["status"])

    body = {"input": {"count": 1, "gate": str(gate)}}
    with client.stream("PUT", "/predictions/shared", json=body, headers=STREAM) as first:
        wait_until(Path(f"{gate}.begun").exists)
        with client.stream("PUT", "/predictions/shared", json={}, headers=STREAM) as second:
            lines = second.iter_lines()  # kept: a connection ends with what reads it
            assert "event: output" in lines
            first.close()
            server.wait_for(lambda line: line.get("status") == GONE)
            before = status()

    wait_until(lambda: status() != "processing")
    assert (before, status()) == ("processing", "canceled")


def test_who_joins_too_late_is_told_how_many_events_are_gone(client: httpx.Client, gate: Path) -> None:
    begin(client, gate, "late")

    response = client.put("/predictions/late", json={}, headers=STREAM)

    assert (response.status_code, names(response.text)) == (200, ["error"])
    assert json.loads(response.text.partition("data: ")[2]) == {"error": TRUNCATED, "skipped": 3}
    end(client, gate, "late")


def test_who_comes_back_after_that_goes_on_with_what_is_left(client: httpx.Client, gate: Path) -> None:
    begin(client, gate, "back")
    first = client.put("/predictions/back", json={}, headers=STREAM).text
    last_id = first.partition("id: ")[2].partition("\n")[0]

    with client.stream("GET", "/predictions/back", headers={**STREAM, "Last-Event-ID": last_id}) as response:
        gate.touch()
        text = response.read().decode()

    assert names(text) == ["output", "output", "completed"]
    assert '{"chunk":"chunk-3","index":2}' in text
    end(client, gate, "back")


def test_without_a_history_who_joins_is_told_the_rest(tmp_path: Path, gate: Path) -> None:
    with (
        serve_cog_project(tmp_path / "project", CODE, COG_STREAM_HISTORY_CAPACITY="0") as server,
        server.client() as client,
    ):
        server.wait_until_ready()
        begin(client, gate, "rest")
        with client.stream("PUT", "/predictions/rest", json={}, headers=STREAM) as response:
            gate.touch()
            text = response.read().decode()

    assert names(text) == ["completed"]
    assert '"status":"succeeded"' in text
