"""`servekit init` and `servekit doctor`: a new project works, and a broken one is told what to do."""

import os
import re
import shlex
import subprocess
import sysconfig
from pathlib import Path

import pytest

from servekit.spec import load_spec
from servekit_templates import PROJECTS

SERVEKIT = str(Path(sysconfig.get_path("scripts")) / "servekit")
SECONDS = 60

OUTPUTS = {
    "hello": "Hello, Ada!\n",
    "stream": "Listen: once upon a time a\n",
    "async": '{"one":3,"three":5}\n',
}


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [SERVEKIT, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    run(tmp_path, "init", "model")
    return tmp_path / "model"


@pytest.mark.parametrize("template", PROJECTS)
def test_a_new_project_does_what_its_readme_says(tmp_path: Path, template: str) -> None:
    made = run(tmp_path, "init", "model", "--template", template)
    readme = (tmp_path / "model" / "README.md").read_text()
    match = re.search(r"^\$ servekit predict (.+)$", readme, re.MULTILINE)
    assert match

    done = run(tmp_path / "model", "predict", *shlex.split(match[1]))

    assert made.returncode == 0, made.stderr
    assert readme.startswith("# model\n")
    assert done.stdout == OUTPUTS[template], done.stderr


@pytest.mark.parametrize("template", PROJECTS)
def test_doctor_finds_nothing_wrong_with_a_new_project(tmp_path: Path, template: str) -> None:
    run(tmp_path, "init", "--template", template)

    done = run(tmp_path, "doctor")

    assert done.returncode == 0, done.stdout
    assert re.findall(r"^(\w+) +(\w+):", done.stdout, re.MULTILINE) == [
        ("ok", "spec"),
        ("ok", "environment"),
        ("ok", "predictor"),
        ("ok", "types"),
    ]


@pytest.mark.parametrize("template", PROJECTS)
def test_the_first_line_of_a_spec_points_editors_at_its_schema(tmp_path: Path, template: str) -> None:
    run(tmp_path, "init", "--template", template)

    first = (tmp_path / "servekit.yaml").read_text().partition("\n")[0]

    match = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert match
    assert '"title": "servekit.yaml"' in (tmp_path / match[1]).read_text()


def test_commented_lines_of_a_new_spec_are_right_as_well(project: Path) -> None:
    spec = project / "servekit.yaml"
    spec.write_text(re.sub(r"^# ?(?=(build|serve|  ))", "", spec.read_text(), flags=re.MULTILINE))

    assert load_spec(project).build.python_packages == ("numpy>=2",)


def test_nothing_is_overwritten_unasked(project: Path) -> None:
    (project / "predict.py").write_text("mine")

    done = run(project, "init")

    assert done.returncode == 2
    assert "predict.py" in done.stderr
    assert (project / "predict.py").read_text() == "mine"


def test_force_overwrites(project: Path) -> None:
    (project / "predict.py").write_text("mine")

    done = run(project, "init", "--force")

    assert done.returncode == 0
    assert "class Predictor" in (project / "predict.py").read_text()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    done = run(tmp_path, "init", "file/model")

    assert done.returncode == 2
    assert "cannot be written" in done.stderr


FAULTS = {
    "a spec with faults": ("servekit.yaml", "predictor: p.py:P\nserv: {}", "spec", 'did you mean "serve"'),
    "a predictor that is not there": ("servekit.yaml", "predictor: p.py:P", "predictor", "there is no file p.py"),
    "a class that is not there": ("predict.py", "class Predict: ...", "predictor", 'did you mean "Predict"'),
    "a package that is missing": ("predict.py", "import nothing_like_it", "predictor", "belongs under build"),
    "a type that cannot be sent": (
        "predict.py",
        "import threading\nclass Predictor:\n    def predict(self, lock: threading.Thread) -> int: ...",
        "predictor",
        "what works: str, int",
    ),
    "requirements that are not there": (
        "servekit.yaml",
        "predictor: predict.py:Predictor\nbuild: {python_requirements: r.txt}",
        "environment",
        "Make it, or correct the name",
    ),
}


@pytest.mark.parametrize(("file", "text", "subject", "advice"), FAULTS.values(), ids=FAULTS.keys())
def test_doctor_says_what_to_do(project: Path, file: str, text: str, subject: str, advice: str) -> None:
    (project / file).write_text(text)

    done = run(project, "doctor")

    assert done.returncode == 1
    assert re.search(rf"^problem +{subject}: (.|\n)*{advice}", done.stdout, re.MULTILINE), done.stdout


def test_doctor_warns_of_an_old_schema(project: Path) -> None:
    (project / ".servekit" / "servekit.schema.json").write_text("{}")

    done = run(project, "doctor")

    assert done.returncode == 0
    assert "warning  editor: " in done.stdout
    assert "servekit schema --spec > .servekit/servekit.schema.json" in done.stdout


def test_doctor_warns_of_more_workers_than_cores(project: Path) -> None:
    (project / "servekit.yaml").write_text(
        f"predictor: predict.py:Predictor\nserve: {{workers: {os.cpu_count() or 1}1}}"
    )

    assert "warning  workers: " in run(project, "doctor").stdout
