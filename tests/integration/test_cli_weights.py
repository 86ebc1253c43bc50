"""Weights from elsewhere in a run on this machine."""

import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from serving import wait_until
from shelf import Shelf

SECONDS = 60
PREDICTOR = """
from pathlib import Path

def predict() -> str:
    return Path("models/model.txt").read_text()
"""

Predict = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture
def shelf() -> Generator[Shelf]:
    shelf = Shelf()
    yield shelf
    shelf.close()


@pytest.fixture
def predict(tmp_path: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Predict:
    """Run `servekit predict` in a project whose predictor reads a file that has to be fetched."""
    monkeypatch.setenv("SERVEKIT_CACHE_DIR", str(tmp_path / "cache"))
    root = tmp_path / "project"
    root.mkdir()
    (root / "predict.py").write_text(PREDICTOR)
    (root / "servekit.yaml").write_text(
        f"predictor: predict.py:predict\nweights:\n  - source: {shelf.url('model.txt')}\n    target: models/model.txt\n"
    )
    command = [sys.executable, "-m", "servekit_cli", "predict", "--file", str(root)]
    return lambda: subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Wait for the end; return exit code, stdout and stderr."""
    stdout, stderr = process.communicate(timeout=SECONDS)
    return process.returncode, stdout, stderr


def test_a_predictor_finds_what_was_fetched_for_it(predict: Predict, shelf: Shelf) -> None:
    shelf.files["model.txt"] = b"fetched"

    _, first, told = finish(predict())
    _, second, told_again = finish(predict())

    assert (first, second) == ("fetched\n", "fetched\n"), told
    assert shelf.asked["model.txt"] == 1
    assert "Fetching http://127.0.0.1" in told
    assert "Fetching" not in told_again


def test_weights_that_cannot_be_had_end_the_command_before_anything_runs(predict: Predict) -> None:
    code, output, told = finish(predict())

    assert (code, output) == (14, "")
    assert "model.txt is not there" in told


def test_ctrl_c_while_fetching_leaves_nothing_half_done(predict: Predict, shelf: Shelf, tmp_path: Path) -> None:
    shelf.files["model.txt"] = b"fetched"
    shelf.gate.clear()
    process = predict()
    wait_until(lambda: shelf.asked["model.txt"] == 1)

    process.send_signal(signal.SIGINT)

    code, _, told = finish(process)
    assert (code, told.splitlines()[-1]) == (130, "Interrupted.")
    assert not list((tmp_path / "cache").rglob("*.data"))
    assert not list((tmp_path / "project").glob("models/*"))
