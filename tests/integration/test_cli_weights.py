"""Weights from elsewhere in a run on this machine."""

import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from shelf import Shelf

SECONDS = 60
PREDICTOR = """
from pathlib import Path

def predict() -> str:
    return Path("models/model.txt").read_text()
"""

Predict = Callable[[], "subprocess.CompletedProcess[str]"]


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
    return lambda: subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)


def test_a_predictor_finds_what_was_fetched_for_it(predict: Predict, shelf: Shelf) -> None:
    shelf.files["model.txt"] = b"fetched"

    first, second = predict(), predict()

    assert (first.stdout, second.stdout) == ("fetched\n", "fetched\n"), first.stderr
    assert shelf.asked["model.txt"] == 1
    assert "Fetching http://127.0.0.1" in first.stderr
    assert "Fetching" not in second.stderr


def test_weights_that_cannot_be_had_end_the_command_before_anything_runs(predict: Predict) -> None:
    done = predict()

    assert (done.returncode, done.stdout) == (14, "")
    assert "model.txt is not there" in done.stderr
