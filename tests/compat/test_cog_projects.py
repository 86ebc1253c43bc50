"""A folder with a cog.yaml, as the commands and a server take it."""

import json
import subprocess
import sys
import sysconfig
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest
from serving import Server, wait_until

from servekit.spec import load_spec

SERVEKIT = str(Path(sysconfig.get_path("scripts")) / "servekit")
SECONDS = 60

SPEC_TEXT = f"""\
build:
  python_version: "{sys.version_info.major}.{sys.version_info.minor}"
  python_requirements: requirements.txt
  system_packages: [ffmpeg]
predict: predict.py:Predictor
environment:
  - GREETING=Hello
"""
WARNING = 'cog.yaml:5: deprecated field "predict": use "run" instead.'

CODE = """\
import os
from pathlib import Path
from time import sleep


class Predictor:
    def predict(self, name: str = "you", wait_for: str = "") -> str:
        while wait_for and not Path(wait_for).exists():
            sleep(0.01)
        return f"{os.environ.get('GREETING')}, {name}!"
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("model")
    (root / "cog.yaml").write_text(SPEC_TEXT)
    (root / "predict.py").write_text(CODE)
    # There is no such version, which nobody notices: it is not installed.
    (root / "requirements.txt").write_text("cog==0.0.0.99\n")
    return root


@pytest.fixture(scope="module")
def server(project: Path) -> Generator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GREETING", "Hi")
        patch.setenv("COG_MAX_CONCURRENCY", "2")
        patch.setenv("COG_SETUP_TIMEOUT", "soon")
        command = (sys.executable, "-P", "-m", "servekit.server", f"--spec={project}")
        server = Server(project, *command, "--host=127.0.0.1", "--port=0")
    with closing(server):
        server.wait_until_ready()
        yield server


@pytest.fixture(autouse=True, scope="module")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERVEKIT_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [SERVEKIT, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS
    )


def test_it_is_served(server: Server) -> None:
    with server.client() as client:
        answer = client.post("/predictions", json={"input": {"name": "Ada"}}).json()

    assert (answer["status"], answer["output"]) == ("succeeded", "Hi, Ada!")


def test_the_server_logs_what_there_is_to_know_once(server: Server) -> None:
    told = [line["event"] for line in server.log if line["level"] == "warning"]

    assert told == [
        WARNING,
        'COG_SETUP_TIMEOUT is "soon" and is left alone; it must be seconds, or 0 for no limit.',
    ]


def test_a_full_server_refuses_at_once(server: Server, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    waiting = {"input": {"wait_for": str(gate)}}
    with server.client() as client:
        started = [client.post("/predictions", json=waiting, headers={"Prefer": "respond-async"}) for _ in range(2)]
        refused = client.post("/predictions", json={})
        gate.touch()
        urls = [f"/predictions/{each.json()['id']}" for each in started]
        wait_until(lambda: all(client.get(url).json()["status"] == "succeeded" for url in urls))

    assert [each.status_code for each in started] == [202, 202]
    assert refused.is_error


def test_it_is_predicted_with_its_variables_and_a_note(project: Path) -> None:
    done = run(project, "predict", "-i", "name=Ada")

    assert (done.returncode, done.stdout) == (0, "Hello, Ada!\n")
    assert done.stderr.count(f"Note: {WARNING}") == 1
    assert done.stderr.count("Note: build.system_packages (ffmpeg) count for images only") == 1
    assert done.stderr.count("Note: Not installed, because servekit stands in for it: cog==0.0.0.99.") == 1


def test_its_schema_is_printed_and_nothing_else(project: Path) -> None:
    done = run(project, "schema", "--input")

    assert list(json.loads(done.stdout)["properties"]) == ["name", "wait_for"]
    assert f"Note: {WARNING}" in done.stderr


def test_doctor_finds_that_it_can_be_used(project: Path) -> None:
    done = run(project, "doctor")

    assert done.returncode == 0, done.stdout
    assert f"spec: {project / 'cog.yaml'} can be used" in done.stdout
    assert WARNING in done.stdout


def test_a_build_writes_a_context_that_describes_itself(project: Path, tmp_path: Path) -> None:
    done = run(project, "build", "--dry-run", str(tmp_path / "context"))

    app = tmp_path / "context" / "app"
    command = [sys.executable, "-P", "-m", "servekit.server.describe"]
    described = subprocess.run(command, cwd=app, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    assert f"Note: {WARNING}" in done.stderr
    assert list(json.loads(described.stdout)["schema"]["input"]["properties"]) == ["name", "wait_for"]
    assert load_spec(app).dialect == "cog"


def test_a_fault_names_the_file_and_the_line(tmp_path: Path) -> None:
    (tmp_path / "cog.yaml").write_text("build:\n  python_version: 3.7\npredict: predict.py:Predictor\n")

    done = run(tmp_path, "predict")

    assert done.returncode == 3
    assert 'cog.yaml:2: invalid build.python_version "3.7": minimum supported Python version is 3.10.' in done.stderr
