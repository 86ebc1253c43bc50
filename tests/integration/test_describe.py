"""What runs in the container of an image to describe it, as a program."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import servekit
from servekit.spec import Spec

SECONDS = 60

MakeProject = Callable[[str], Spec]


def describe(root: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-P", "-m", "servekit.server.describe", "--spec", str(root)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)


def test_one_json_object_says_what_is_there(make_project: MakeProject) -> None:
    spec = make_project(
        """
        from collections.abc import Iterator
        from servekit import BasePredictor

        class Predictor(BasePredictor):
            def setup(self):
                raise RuntimeError("not to be run")

            def predict(self, n: int) -> Iterator[str]:
                yield str(n)
        """
    )

    done = describe(spec.root)

    description = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(description) == {"schema", "servekit", "python", "packages", "distribution", "system_packages"}
    schema = description["schema"]
    assert (schema["streams"], schema["is_async"]) == (True, False)
    assert (list(schema["input"]["properties"]), schema["output"]["type"]) == (["n"], "array")
    assert description["servekit"] == servekit.__version__
    assert "servekit" in {package["name"] for package in description["packages"]}


def test_what_the_predictor_prints_goes_to_stderr(make_project: MakeProject) -> None:
    spec = make_project(
        """
        import os
        print("printed")
        os.write(1, b"written\\n")

        class Predictor:
            def predict(self) -> str:
                return ""
        """
    )

    done = describe(spec.root)

    assert json.loads(done.stdout)["schema"]["output"] == {"type": "string", "title": "Output"}
    assert {"printed", "written"} <= set(done.stderr.splitlines())


@pytest.mark.parametrize(
    ("code", "exit_code", "words"),
    [
        ("import nowhere", 5, 'predict.py", line 1, in <module>\n    import nowhere\nModuleNotFoundError'),
        ("class Other: pass", 4, 'there is no "Predictor"'),
        ("class Predictor:\n    def predict(self, x): ...", 4, "x"),
        ("import os; os._exit(3)", 5, "3"),
    ],
)
def test_a_predictor_that_cannot_be_loaded_is_told_on_stderr(
    make_project: MakeProject, code: str, exit_code: int, words: str
) -> None:
    done = describe(make_project(code).root)

    assert (done.returncode, done.stdout) == (exit_code, "")
    assert words in done.stderr


def test_a_missing_spec_is_told_on_stderr(tmp_path: Path) -> None:
    done = describe(tmp_path)

    assert (done.returncode, done.stdout) == (3, "")
    assert "There is no servekit.yaml" in done.stderr
