"""Trainings of Cog projects: the `train` of cog.yaml, over HTTP as Cog serves it, and on the command line."""

import json
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest
from cog_projects import run_cog_program
from receiver import run_receiver
from serving import Server

from servekit.compat.importing import importable_cog
from servekit.compat.predictor import load_cog_trainer
from servekit.errors import InputError, PredictorError, UsageError
from servekit.server.describe import describe
from servekit.spec import Range, load_spec
from servekit_cli.commands import schema
from servekit_cli.container.client import ModelClient
from servekit_cli.container.uploads import RequestBody
from servekit_cli.diagnosis import diagnose
from servekit_cli.inputs import PredictionInput
from servekit_cli.outputs import Outcome

SERVEKIT = str(Path(sysconfig.get_path("scripts")) / "servekit")
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
SECONDS = 60

RUN = """
    from cog import BasePredictor, Path, concurrent

    class Predictor(BasePredictor):
        def setup(self, weights=None):
            self.weights = weights

        @concurrent(max=4)
        async def predict(self, text: str) -> str:
            return f"{text} by {Path(self.weights).read_text()}"
"""

TRAIN = """
    import time
    from cog import BaseModel, BasePredictor, Input, Path

    class TrainingOutput(BaseModel):
        weights: Path

    class Trainer(BasePredictor):
        def setup(self, weights=None):
            print("Trainer is setting up.")
            self.letter = "a"

        def train(self, n: int = Input(ge=1), kind: str = Input(default="plain", choices=["plain", "slow"])
                  ) -> TrainingOutput:
            print(f"{n} steps")
            while kind == "slow":
                time.sleep(0.01)
            Path("trained.bin").write_text(self.letter * n)
            return TrainingOutput(weights=Path("trained.bin"))

        def predict(self, text: str) -> str:
            return "this is not what trains"

    def train(s: str) -> str:
        return "trained by " + s
"""

AAA = "data:application/octet-stream;base64,YWFh"


def write_project(root: Path, fields: str) -> Path:
    """Write a cog.yaml with the given fields beside the code that they may name."""
    root.mkdir(exist_ok=True)
    (root / "predict.py").write_text(textwrap.dedent(RUN))
    (root / "train.py").write_text(textwrap.dedent(TRAIN))
    (root / "cog.yaml").write_text(f'build:\n  python_version: "{PYTHON}"\n{fields}')
    return root


WITH_CLASS = "predict: predict.py:Predictor\ntrain: train.py:Trainer\n"


# The project.


def test_a_spec_for_training_runs_the_trainer_in_one_slot(tmp_path: Path) -> None:
    spec = load_spec(write_project(tmp_path, WITH_CLASS))

    training = spec.for_mode("train")

    assert (spec.mode, spec.predictor, spec.serve.concurrency) == ("predict", "predict.py:Predictor", Range(4, 4))
    assert (training.mode, training.predictor, training.serve.concurrency) == ("train", "train.py:Trainer", Range(1, 1))
    assert training.serve.timeout is None


def test_a_project_may_have_nothing_but_a_training(tmp_path: Path) -> None:
    spec = load_spec(write_project(tmp_path, "train: train.py:train\n"))

    assert (spec.mode, spec.predictor, spec.warnings) == ("train", "train.py:train", ())
    with pytest.raises(UsageError, match=r"cog\.yaml has only train, which is run by `servekit train`"):
        spec.for_mode("predict")


def test_without_train_there_is_nothing_to_train(tmp_path: Path) -> None:
    spec = load_spec(write_project(tmp_path, "predict: predict.py:Predictor\n"))

    with pytest.raises(UsageError, match=r'cog\.yaml names nothing that trains\.\nAdd a line such as "train:'):
        spec.for_mode("train")


def test_a_servekit_yaml_names_no_trainer(tmp_path: Path) -> None:
    (tmp_path / "servekit.yaml").write_text("predictor: predict.py:Predictor\n")

    with pytest.raises(UsageError, match=r"only the train of a cog\.yaml does"):
        load_spec(tmp_path).for_mode("train")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("predict.py:Predictor", r"predict\.py:Predictor has no train method; write `def train\(self, \.\.\.\)`"),
        ("train.py:AAA", "AAA is a str, not a predictor"),
        ("train.py:tarin", 'did you mean "train"'),
    ],
)
def test_what_cannot_train_is_refused(tmp_path: Path, reference: str, message: str) -> None:
    root = write_project(tmp_path / "project", WITH_CLASS)
    (root / "train.py").write_text('AAA = "text"\ndef train(n: int) -> int: ...\n')

    with importable_cog(), pytest.raises(PredictorError, match=message):
        load_cog_trainer(reference, root)


def test_an_image_tells_what_its_training_takes(tmp_path: Path) -> None:
    ends = describe(load_spec(write_project(tmp_path, WITH_CLASS)))["schema"]

    assert list(ends["input"]["properties"]) == ["text"]
    assert list(ends["training"]["input"]["properties"]) == ["n", "kind"]


# Over HTTP.


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    root = write_project(tmp_path_factory.mktemp("project"), WITH_CLASS)
    variables = {"SERVEKIT_WEBHOOK_ALLOW_PRIVATE": "1", "SERVEKIT_CANCEL_GRACE": "10"}
    with run_cog_program(root, "--x-mode train", **variables) as server:
        yield server


def test_a_training_runs_after_the_trainer_s_setup(client: httpx.Client) -> None:
    answer = client.post("/trainings", json={"input": {"n": 3}}).json()

    assert (answer["status"], answer["output"], answer["logs"]) == ("succeeded", {"weights": AAA}, "3 steps\n")
    assert client.get("/health-check").json()["setup"]["logs"] == "Trainer is setting up.\n"


@pytest.mark.parametrize("values", [{}, {"n": 0}, {"n": "many"}, {"n": 1, "kind": "odd"}])
def test_an_input_that_does_not_fit_is_refused(client: httpx.Client, values: dict[str, object]) -> None:
    answer = client.post("/trainings", json={"input": values})

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][:2] == ["body", "input"]


def test_a_second_put_gets_the_same_training(client: httpx.Client) -> None:
    first = client.put("/trainings/once", json={"input": {"n": 1}}).json()

    assert client.put("/trainings/once", json={"input": {"n": 2}}).json() == first


def test_another_id_in_the_body_is_refused_in_the_words_of_cog(client: httpx.Client) -> None:
    answer = client.put("/trainings/one", json={"id": "other", "input": {"n": 1}})

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["msg"].startswith("training ID must match the ID supplied in the URL")


def test_who_does_not_wait_finds_the_training_where_the_answer_says(client: httpx.Client) -> None:
    answer = client.put("/trainings/later", json={"input": {"n": 3}}, headers={"Prefer": "respond-async"})

    assert (answer.status_code, answer.headers["location"]) == (202, "/trainings/later")
    events = client.get("/trainings/later", headers={"Accept": "text/event-stream"}).text  # ends with the training
    assert "event: completed" in events
    assert client.get("/trainings/later").json()["output"] == {"weights": AAA}


@pytest.mark.parametrize(("method", "path"), [("POST", "/trainings"), ("PUT", "/trainings/stream")])
def test_a_training_is_not_streamed_to_who_asks_for_it(client: httpx.Client, method: str, path: str) -> None:
    answer = client.request(method, path, json={"input": {"n": 1}}, headers={"Accept": "text/event-stream"})

    assert answer.status_code == 406
    assert answer.json()["error"] == "Training endpoints do not support streaming responses."
    assert client.get("/trainings/stream").status_code == 404


def test_a_training_that_runs_has_the_only_slot_and_is_canceled(client: httpx.Client) -> None:
    slow = {"input": {"n": 1, "kind": "slow"}}
    client.put("/trainings/slow", json=slow, headers={"Prefer": "respond-async"})

    second = client.post("/trainings", json={"input": {"n": 1}})
    answer = client.post("/trainings/slow/cancel")
    client.get("/trainings/slow", headers={"Accept": "text/event-stream"})  # ends with the training

    assert second.status_code in (409, 503)
    assert answer.status_code == 200
    assert client.get("/trainings/slow").json()["status"] == "canceled"


def test_webhooks_tell_of_a_training(client: httpx.Client) -> None:
    with run_receiver() as receiver:
        hook = {"webhook": f"{receiver.url}/hook", "webhook_events_filter": ["completed"]}
        client.put("/trainings/told", json={"input": {"n": 3}, **hook})

        (post,) = receiver.wait_for_end("/hook")

    assert (post.prediction["id"], post.prediction["output"]) == ("told", {"weights": AAA})


def test_all_trainings_are_listed_page_by_page(client: httpx.Client) -> None:
    client.put("/trainings/older", json={"input": {"n": 1}})
    client.put("/trainings/newest", json={"input": {"n": 1}})

    page = client.get("/trainings?limit=1").json()

    assert [each["id"] for each in page["results"]] == ["newest"]
    assert [each["id"] for each in client.get(page["next"]).json()["results"]] == ["older"]


def test_an_unknown_training_is_not_found(client: httpx.Client) -> None:
    answers = [client.get("/trainings/nobody"), client.post("/trainings/nobody/cancel")]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert "there is no training 'nobody'" in answers[0].json()["detail"]


def test_a_prediction_is_refused_with_the_way_to_a_server_that_runs_it(client: httpx.Client) -> None:
    answers = [
        client.post("/predictions", json={"input": {}}),
        client.put("/predictions/a"),
        client.get("/predictions"),
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert "--x-mode predict" in answers[0].json()["detail"]


def test_the_server_names_the_paths_of_trainings(client: httpx.Client) -> None:
    found = client.get("/").json()

    assert found["trainings_url"] == "/trainings"
    assert found["trainings_idempotent_url"] == "/trainings/{training_id}"
    assert found["trainings_cancel_url"] == "/trainings/{training_id}/cancel"
    assert "predictions_url" not in found


def test_the_document_calls_everything_as_cog_does(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()

    schemas = document["components"]["schemas"]
    assert {"TrainingInput", "TrainingOutput", "TrainingRequest", "TrainingResponse"} <= schemas.keys()
    assert (schemas["TrainingInput"]["title"], schemas["kind"]["enum"]) == ("TrainingInput", ["plain", "slow"])
    assert schemas["TrainingRequest"]["properties"]["input"] == {"$ref": "#/components/schemas/TrainingInput"}
    assert {"/trainings", "/trainings/{id}", "/trainings/{id}/cancel"} <= document["paths"].keys()
    assert "406" in document["paths"]["/trainings"]["post"]["responses"]
    text = json.dumps(document)
    assert not any(name in text for name in ("/predictions", "schemas/Input", "schemas/Output", "PredictionRe"))


async def train_by_client(server: Server, name: str, raw: bytes) -> tuple[list[bytes], Outcome | None]:
    """Run a training as `servekit train IMAGE` does it with the server in its container."""
    async with ModelClient(server.url) as model:
        training = model.predict(name, RequestBody(PredictionInput(raw, {}), {}), "train")
        events = [data async for _, data in training.events()]
        return events, training.outcome


async def test_the_command_line_follows_a_training_in_a_container(server: Server) -> None:
    events, outcome = await train_by_client(server, "followed", b'{"n":3}')

    assert any(b"3 steps" in event for event in events)
    assert outcome is not None
    assert (outcome.status, json.loads(bytes(outcome.output))) == ("succeeded", {"weights": AAA})


async def test_the_command_line_is_told_of_an_input_that_a_training_refuses(server: Server) -> None:
    with pytest.raises(InputError, match=r"input\.n"):
        await train_by_client(server, "refused", b'{"n":0}')


# On the command line.


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("model"), WITH_CLASS)


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [SERVEKIT, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS
    )


def test_weights_go_to_a_file_with_which_the_model_then_predicts(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = run(project, "train", "-i", "n=3")
    monkeypatch.setenv("COG_WEIGHTS", "weights.bin")
    predicted = run(project, "predict", "-i", "text=hello")

    assert (trained.returncode, trained.stdout, (project / "weights.bin").read_text()) == (0, "", "aaa"), trained.stderr
    assert "Trainer is setting up." in trained.stderr
    assert predicted.stdout == "hello by aaa\n"


def test_a_text_goes_where_o_says(tmp_path: Path) -> None:
    root = write_project(tmp_path, "train: train.py:train\n")

    done = run(root, "train", "--json", '{"s": "hand"}', "-o", "trained.txt")

    assert (done.returncode, (root / "trained.txt").read_text()) == (0, "trained by hand"), done.stderr


def test_the_schema_of_the_training_is_printed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema.run(project, train=True, only_input=True)

    assert list(json.loads(capsys.readouterr().out)["properties"]) == ["n", "kind"]


def test_doctor_looks_at_the_trainer_as_well(tmp_path: Path) -> None:
    root = write_project(tmp_path, "predict: predict.py:Predictor\ntrain: train.py:tarin\n")

    findings = {finding.subject: finding for finding in diagnose(root)}

    assert findings["predictor"].grade == "good"
    assert findings["trainer"].grade == "problem"
    assert 'there is no "tarin"' in findings["trainer"].text
