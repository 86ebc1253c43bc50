"""`python -m cog.server.http`: the SDK over HTTP, from a server that was started the way Cog's is."""

import signal
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest
from cog_projects import run_cog_program, write_cog_project
from serving import Server

from servekit.server.cog_program import main

CODE = """
    from cog import BaseRunner, ConcatenateIterator, Input, current_scope, streaming

    class Runner(BaseRunner):
        @streaming
        def run(self, text: str, times: int = Input(default=2, ge=1),
                mode: str = Input(default="up", choices=["up", "down"])) -> ConcatenateIterator[str]:
            for i in range(times):
                self.record_metric("words.made", 1, mode="incr")
                yield text.upper() if mode == "up" else text
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    root = tmp_path_factory.mktemp("project")
    write_cog_project(root, CODE)
    with run_cog_program(root, "--await-explicit-shutdown true --x-mode predict --threads 4") as server:
        yield server


def test_a_prediction_runs(client: httpx.Client) -> None:
    answer = client.post("/predictions", json={"input": {"text": "a", "times": 3}}).json()

    assert (answer["status"], answer["output"]) == ("succeeded", ["A", "A", "A"])
    assert answer["metrics"]["words"] == {"made": 3}


def test_a_field_that_run_does_not_take_is_dropped_and_told(client: httpx.Client) -> None:
    answer = client.post("/predictions", json={"input": {"text": "a", "nope": 1}}).json()

    assert answer["output"] == ["A", "A"]
    assert answer["logs"] == "dropped what is no input of this predictor: nope\n"


@pytest.mark.parametrize("values", [{}, {"text": 1}, {"text": "a", "times": 0}, {"text": "a", "mode": "sideways"}])
def test_an_input_that_does_not_fit_is_refused(client: httpx.Client, values: dict[str, object]) -> None:
    assert client.post("/predictions", json={"input": values}).status_code == 422


def test_metrics_are_streamed_under_the_name_that_the_code_gave_them(client: httpx.Client) -> None:
    headers = {"Accept": "text/event-stream"}

    text = client.post("/predictions", json={"input": {"text": "a", "times": 1}}, headers=headers).text

    assert 'data: {"name":"words.made","value":1,"mode":"increment"}' in text


def test_the_document_is_cog_s(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()

    assert document["openapi"] == "3.0.2"
    assert document["components"]["schemas"]["mode"]["enum"] == ["up", "down"]
    assert document["components"]["schemas"]["Output"]["x-cog-array-display"] == "concatenate"
    assert document["paths"]["/predictions"]["post"]["x-cog-streaming"] is True


def test_a_training_is_refused_with_the_way_to_a_server_that_runs_it(client: httpx.Client) -> None:
    answers = [client.post("/trainings", json={"input": {}}), client.put("/trainings/a"), client.get("/trainings")]

    assert {answer.status_code for answer in answers} == {404}
    assert "servekit serve --train, or python -m cog.server.http --x-mode train" in answers[0].json()["detail"]


def test_it_stops_when_it_is_told_to_and_not_before(server: Server) -> None:
    server.process.send_signal(signal.SIGTERM)

    with server.client() as client:
        assert client.post("/predictions", json={"input": {"text": "a"}}).json()["status"] == "succeeded"
        assert client.post("/shutdown").status_code == 200
    assert server.wait() == 0


@pytest.mark.parametrize("argument", ["--nothing", "--await-explicit-shutdown=perhaps", "--threads=many"])
def test_an_argument_that_cannot_be_read_is_an_error(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([argument])

    assert "usage: python -m cog.server.http" in capsys.readouterr().err


def test_without_a_project_it_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main([]) == 3
    assert "There is no" in capsys.readouterr().err


def test_the_version_is_that_of_the_sdk(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])

    assert capsys.readouterr().out.startswith("cog 0.")
