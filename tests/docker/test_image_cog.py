"""A Cog project as an image: what Cog's users and their deployments do with one."""

import json
import textwrap
from collections.abc import Generator
from pathlib import Path

import pytest
from image_building import Builder

from servekit_cli.engine import Engine

CONFIG = """
    build:
      python_version: "3.12"
      run:
        - echo built > /tmp/built
    run: run.py:Runner
    train: train.py:train
    environment:
      - GREETING=hello
"""
CODE = """
    import os
    from cog import BaseRunner, Input, Path

    class Runner(BaseRunner):
        def run(self, name: str, times: int = Input(default=1, ge=1)) -> Path:
            built = open("/tmp/built").read().strip()
            Path("/src/written.txt").write_text(f"{os.environ['GREETING']} {name} " * times + built)
            return Path("/src/written.txt")
"""
TRAINING = """
    from cog import BaseModel, Path

    class TrainingOutput(BaseModel):
        weights: Path

    def train(words: str) -> TrainingOutput:
        weights = Path("/tmp/weights.txt")
        weights.write_text(words.upper())
        return TrainingOutput(weights=weights)
"""


@pytest.fixture(scope="module")
def builder(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Generator[Builder]:
    """Builds images that are removed after the module's tests."""
    builder = Builder(engine, tmp_path_factory.mktemp("builds"))
    yield builder
    builder.close()


@pytest.fixture(scope="module")
def image(builder: Builder, tmp_path_factory: pytest.TempPathFactory) -> str:
    project = tmp_path_factory.mktemp("project")
    (project / "cog.yaml").write_text(textwrap.dedent(CONFIG))
    (project / "run.py").write_text(textwrap.dedent(CODE))
    (project / "train.py").write_text(textwrap.dedent(TRAINING))
    return builder.build(project)


def test_it_predicts_by_the_command_line(builder: Builder, image: str, tmp_path: Path) -> None:
    done = builder.run("predict", image, "-i", "name=you", "-i", "times=2", "-o", str(tmp_path / "out.txt"))

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.txt").read_text() == "hello you hello you built"


def test_the_command_line_prints_what_cog_s_users_know(builder: Builder, image: str, tmp_path: Path) -> None:
    request, target = '{"name": "you"}', tmp_path / "out.json"

    done = builder.run("predict", image, "--json", request, "-o", str(target), "--setup-timeout", "60")

    assert done.returncode == 0, done.stderr
    prediction = json.loads(target.read_text())
    assert (prediction["status"], prediction["output"]) == ("succeeded", str(tmp_path / "out.txt"))
    assert "predict_time" in prediction["metrics"]
    assert (tmp_path / "out.txt").read_text() == "hello you built"


@pytest.mark.parametrize("command", ["", "python -m cog.server.http"])
def test_it_serves_by_its_own_command_and_by_cog_s(builder: Builder, image: str, command: str) -> None:
    with builder.start(image, *command.split()) as container:
        container.wait_until_ready()
        answer = json.loads(container.predict(name="you"))

    assert answer["status"] == "succeeded"
    assert answer["output"].startswith("data:text/plain;base64,")


def test_it_trains_by_the_command_line(builder: Builder, image: str, tmp_path: Path) -> None:
    done = builder.run("train", image, "-i", "words=a b", "-o", str(tmp_path / "weights.txt"))

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "weights.txt").read_text() == "A B"


def test_it_serves_trainings_by_cog_s_own_command(builder: Builder, image: str) -> None:
    with builder.start(image, *["python", "-m", "cog.server.http", "--x-mode", "train"]) as container:
        container.wait_until_ready()

        assert json.loads(container.get("/")[1])["trainings_url"] == "/trainings"
        assert container.get("/predictions")[0] == 404


def test_its_programs_find_cog_although_it_is_not_installed(builder: Builder, image: str) -> None:
    with builder.start(image) as container:
        assert container.run("python", "-c", "import cog; print(cog.BaseRunner.__name__)") == "BaseRunner\n"
