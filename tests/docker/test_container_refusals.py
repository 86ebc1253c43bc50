"""What `predict` and `serve` say of an image that cannot be run as it is asked."""

import os
import subprocess
from pathlib import Path

import pytest
from model_images import SECONDS, SERVEKIT, MakeModelImage

from servekit_cli.engine import Engine, push_image
from tests.docker.conftest import MakeImage


@pytest.fixture(scope="module")
def plain(model_image: MakeModelImage) -> str:
    return model_image("class Predictor:\n    def predict(self, name: str = '') -> str: return name\n")


@pytest.fixture(scope="module")
def for_gpu(model_image: MakeModelImage) -> str:
    return model_image("class Predictor:\n    def predict(self) -> str: return 'done'\n", gpu="true")


def run(command: str, *arguments: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    environ = {key: value for key, value in os.environ.items() if not key.startswith("SERVEKIT_")}
    return subprocess.run(
        [SERVEKIT, command, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        cwd=cwd,
        env=environ,
    )


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("command", ["predict", "serve"])
def test_an_image_not_built_by_servekit(command: str) -> None:
    done = run(command, "python:3.12-slim")

    assert done.returncode == 12
    assert "python:3.12-slim was not built by servekit" in done.stderr


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("command", ["predict", "serve"])
def test_an_image_that_is_not_here(command: str) -> None:
    done = run(command, "no-such-model")

    assert done.returncode == 12
    assert 'There is no image "no-such-model" on this engine.' in done.stderr
    assert "servekit build -t no-such-model" in done.stderr


@pytest.mark.usefixtures("engine")
def test_an_image_that_its_registry_does_not_have(registry: str) -> None:
    done = run("predict", f"{registry}/no-such-model")

    assert done.returncode == 12
    assert "could not be pulled" in done.stderr


def test_an_image_of_a_registry_is_pulled(engine: Engine, registry: str, plain: str, make_image: MakeImage) -> None:
    labels = dict(engine.client.images.get(plain).labels)
    name = f"{registry}/team/empty"  # a whole one would take long to push
    engine.client.images.get(make_image('FROM scratch\nCMD ["/nothing"]\n', labels=labels)).tag(name)
    push_image(engine, name, lambda _: None)
    engine.client.images.remove(name)

    done = run("predict", name)

    engine.client.images.remove(name)
    assert f"Pulling {name}" in done.stderr
    assert done.returncode == 13  # it is here, and has nothing that could run


@pytest.mark.usefixtures("engine")
def test_a_name_that_cannot_be_one() -> None:
    done = run("predict", "My Model")

    assert done.returncode in (2, 12)
    assert "My Model" in done.stderr


def test_labels_that_cannot_be_read(model_image: MakeModelImage) -> None:
    image = model_image("class Predictor:\n    def predict(self) -> str: return ''\n", schema="[]")

    done = run("predict", image)

    assert done.returncode == 12
    assert "The label dev.servekit.schema of" in done.stderr


def test_an_image_that_wants_a_gpu_runs_without_where_there_is_none(for_gpu: str) -> None:
    done = run("predict", for_gpu)

    assert done.stdout == "done\n", done.stderr
    assert "the image asks for a GPU, and this engine knows of none" in done.stderr


def test_a_gpu_that_is_demanded_and_not_there(for_gpu: str) -> None:
    done = run("predict", for_gpu, "--gpus", "all")

    assert done.returncode == 13
    assert "its host has no NVIDIA container toolkit" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--memory", "lots"], 2, '--memory is "lots"'),
        (["--gpus", "a b"], 2, '--gpus is "a b"'),
        (["-v", "relative"], 2, '--volume is "relative"'),
        (["-v", "/nowhere/at/all:/x"], 2, "bind source path does not exist: /nowhere/at/all"),
        (["--cpus", "1000"], 13, "CPUs"),
        (["-e", "=x"], 2, "which is no variable"),
        (["--env-file", "nowhere"], 2, "--env-file names nowhere, which cannot be read"),
        (["-e", "SERVEKIT_TIMEOUT=soon"], 2, 'SERVEKIT_TIMEOUT is "soon"'),
        (["--file", "somewhere"], 2, "--file somewhere names a project"),
    ],
)
def test_a_flag_that_does_not_fit(plain: str, arguments: list[str], code: int, message: str) -> None:
    done = run("predict", plain, *arguments)

    assert done.returncode == code, done.stderr
    assert message in done.stderr


def test_flags_of_a_container_without_an_image(tmp_path: Path) -> None:
    (tmp_path / "servekit.yaml").write_text("predictor: predict.py:Predictor\n")

    done = run("predict", "--memory", "1g", "--pull", cwd=tmp_path)

    assert done.returncode == 2
    assert "--memory and --pull would have no effect" in done.stderr


def test_a_project_where_an_image_is_expected(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "servekit.yaml").write_text("predictor: predict.py:Predictor\n")

    done = run("serve", "model", cwd=tmp_path)

    assert done.returncode == 2
    assert "given as --file model" in done.stderr
    assert "model:latest" in done.stderr


def test_an_input_without_its_flag(tmp_path: Path) -> None:
    done = run("predict", "my-model", "prompt=a lake", cwd=tmp_path)

    assert done.returncode == 2
    assert "servekit predict my-model -i 'prompt=a lake'" in done.stderr


def test_no_engine(tmp_path: Path) -> None:
    environ = {**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    done = subprocess.run(
        [SERVEKIT, "predict", "my-model"], capture_output=True, text=True, check=False, timeout=SECONDS, env=environ
    )

    assert done.returncode == 10
