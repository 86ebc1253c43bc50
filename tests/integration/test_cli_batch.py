"""`servekit batch` as a person or a script meets it."""

import csv
import json
import signal
import subprocess
import sysconfig
import textwrap
from pathlib import Path
from typing import Any

import pytest
from killed_batches import compare_results, run_batch_with_kills
from serving import wait_until

SERVEKIT = str(Path(sysconfig.get_path("scripts")) / "servekit")
SECONDS = 100


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose rows are slow, fail, or come with a file, as they ask for."""
    root = tmp_path_factory.mktemp("project")
    (root / "servekit.yaml").write_text("predictor: predict.py:Predictor\n")
    (root / "predict.py").write_text(
        textwrap.dedent("""
            import time
            from servekit import Path

            class Predictor:
                def predict(self, text: str, pause: float = 0.0) -> list[Path]:
                    time.sleep(pause)
                    if text == "bad":
                        raise ValueError("this text is bad")
                    path = Path("out.txt")
                    path.write_text(text.upper())
                    return [path] if text == "file" else []
        """)
    )
    return root


def batch(*arguments: str, cwd: Path, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    command = [SERVEKIT, "batch", *arguments]
    return subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, text=True, check=False, timeout=SECONDS)


def write_rows(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return str(path)


def test_a_job_that_is_killed_three_times_ends_like_one_that_was_let_be(project: Path, tmp_path: Path) -> None:
    inputs = write_rows(tmp_path / "in.jsonl", [{"text": f"row {n}", "pause": 0.002} for n in range(300)])
    whole, broken = tmp_path / "whole.jsonl", tmp_path / "broken.jsonl"
    batch(inputs, "-o", str(whole), cwd=project)

    run_batch_with_kills([inputs], broken, (1, 90, 160), cwd=project)

    assert compare_results(whole, broken) == (300, [])


def test_every_row_gets_its_result_and_the_report_says_how_many_failed(project: Path, tmp_path: Path) -> None:
    rows = [{"text": "file"}, {"text": "bad"}, "{nope", {"texd": "a"}, {"text": "d"}]
    inputs = write_rows(tmp_path / "in.jsonl", rows)

    done = batch(inputs, "-o", str(tmp_path / "out.csv"), "--report", str(tmp_path / "r.html"), cwd=project)

    with (tmp_path / "out.csv").open(newline="") as file:
        results = list(csv.DictReader(file))
    assert done.returncode == 15, done.stderr
    assert [each["status"] for each in results] == ["succeeded", "failed", "failed", "failed", "succeeded"]
    assert results[2]["place"] == "line 3"
    [path] = json.loads(results[0]["output"])
    assert (Path(path).parent, Path(path).read_text()) == (tmp_path / "out.files", "FILE")
    assert "5 rows in" in done.stderr
    assert "1  model        ValueError: this text is bad" in done.stderr
    assert "<h1>Batch report" in (tmp_path / "r.html").read_text()


def test_ctrl_c_lets_what_runs_end_and_says_how_to_go_on(project: Path, tmp_path: Path) -> None:
    inputs = write_rows(tmp_path / "in.jsonl", [{"text": "a", "pause": 0.05}] * 1000)
    results = tmp_path / "out.jsonl"
    command = [SERVEKIT, "batch", inputs, "-o", str(results)]
    process = subprocess.Popen(command, cwd=project, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: results.exists() and results.stat().st_size > 0)

    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=SECONDS)

    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert process.returncode == 130
    assert "Go on with the same command and --resume" in said
    assert {line["status"] for line in lines} == {"succeeded"}
    assert [line["row"] for line in lines] == list(range(1, len(lines) + 1))
    assert len(lines) < 100  # what was read ahead is not run


def test_rows_go_through_a_pipe(project: Path) -> None:
    done = batch("-", "-i", "pause=0", "--no-input", "--quiet", cwd=project, stdin='{"text": "a"}\n{"text": "b"}\n')

    assert (done.returncode, done.stderr) == (0, "")
    assert [json.loads(line)["output"] for line in done.stdout.splitlines()] == [[], []]


def test_a_dry_run_says_which_rows_do_not_fit(project: Path, tmp_path: Path) -> None:
    inputs = write_rows(tmp_path / "in.jsonl", [{"text": "a"}, {"text": 1}])

    done = batch(inputs, "--dry-run", cwd=project)

    assert (done.returncode, done.stdout) == (15, "")
    assert "line 2: input.text: expected a string, got 1" in done.stderr


def test_a_server_that_cannot_be_reached_ends_the_command_at_once(tmp_path: Path) -> None:
    inputs = write_rows(tmp_path / "in.jsonl", [{"text": "a"}])

    done = batch(inputs, "-o", str(tmp_path / "out.jsonl"), "--url", "http://127.0.0.1:9", cwd=tmp_path)

    assert done.returncode == 16
    assert "cannot be reached" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl"]
