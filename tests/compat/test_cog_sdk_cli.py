"""A Cog project on the command line."""

import json
import subprocess
import sysconfig
from pathlib import Path

import pytest
from cog_projects import write_cog_project

SERVEKIT = str(Path(sysconfig.get_path("scripts")) / "servekit")
SECONDS = 60

CODE = """
    from cog import BasePredictor, Input, Path, current_scope

    class Runner(BasePredictor):
        def setup(self):
            self.greeting = "hello"

        def predict(self, name: str = Input(default="you"), file: Path = Input(accept="text/*")) -> str:
            current_scope().record_metric("length", len(name))
            return f"{self.greeting} {name}: {file.read_text()}"
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("model")
    write_cog_project(root, CODE)
    (root / "a.txt").write_text("content")
    return root


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [SERVEKIT, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS
    )


def test_it_predicts(project: Path) -> None:
    done = run(project, "predict", "-i", "name=Ada", "-i", "file=@a.txt")

    assert (done.returncode, done.stdout) == (0, "hello Ada: content\n"), done.stderr


def test_a_name_that_is_no_input_is_refused_and_not_dropped(project: Path) -> None:
    done = run(project, "predict", "-i", "nmae=Ada", "-i", "file=@a.txt")

    assert done.returncode == 2
    assert 'did you mean "name"?' in done.stderr


def test_its_schema_says_what_cog_s_says(project: Path) -> None:
    done = run(project, "schema", "--input")

    schema = json.loads(done.stdout)
    assert schema["required"] == ["file"]
    assert schema["properties"]["file"]["x-cog-accept"] == "text/*"


def test_doctor_finds_nothing_wrong(project: Path) -> None:
    done = run(project, "doctor")

    assert done.returncode == 0, done.stdout
