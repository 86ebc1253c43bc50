"""Batch jobs that are killed in the middle, go on with `--resume`, and must end like one that was let be.

As a program it does so with the kinds of all files of this Python installation, told by `examples/filetype`:

    python tests/support/killed_batches.py --rows 10000 --kills 3
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

__all__ = ["compare_results", "run_batch_with_kills"]

SERVEKIT = str(Path(sysconfig.get_path("scripts")) / "servekit")
EXAMPLE = Path(__file__).parents[2] / "examples/filetype"
DEADLINE_SECONDS = 1800.0
DIFFERS = ("seconds", "metrics", "attempts")
"""What is another each time."""


def run_batch_with_kills(
    arguments: Sequence[str],
    results: Path,
    kill_after: Sequence[int],
    *,
    cwd: Path,
    say: Callable[[str], object] | None = None,
) -> None:
    """Run a job that is killed whenever so many rows have a result, and goes on until it is done."""
    command = [SERVEKIT, "batch", *arguments, "-o", str(results), "--quiet", "--resume"]
    for rows in kill_after:
        process = subprocess.Popen(command, cwd=cwd)
        _wait_for_rows(results, rows, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        lines = results.read_bytes()
        torn = "" if lines.endswith(b"\n") else ", the last line torn"
        done = lines.count(b"\n")
        (say or str)(f"killed with {done:,} rows done{torn}")
    subprocess.run(command, cwd=cwd, check=False)


def compare_results(first: Path, second: Path) -> tuple[int, list[str]]:
    """Compare two files of results row by row.

    Returns:
        How many rows are in the first one, and what differs.
    """
    differences: list[str] = []
    rows, others = list(_read(first)), list(_read(second))
    if len(rows) != len(others):
        differences.append(f"{len(rows)} rows and {len(others)}")
    for row, other in zip(rows, others, strict=False):
        if row != other:
            differences.append(f"{row} is {other}")
    return len(rows), differences


def _read(results: Path) -> Iterator[dict[str, Any]]:
    with results.open() as file:
        for line in file:
            yield {name: value for name, value in json.loads(line).items() if name not in DIFFERS}


def _wait_for_rows(results: Path, rows: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not results.exists() or results.read_bytes().count(b"\n") < rows:
        assert process.poll() is None, f"the job ended before it had {rows} rows"
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _write_rows(target: Path, rows: int) -> int:
    """Write a row for each file of this installation, and of what is installed beside it."""
    roots = (Path(sysconfig.get_path("stdlib")), Path(sysconfig.get_path("purelib")))
    files = (path for root in roots for path in sorted(root.rglob("*")) if path.is_file() and path.suffix != ".pyc")
    chosen = list(islice(files, rows))
    target.write_text("".join(json.dumps({"file": f"@{path}"}) + "\n" for path in chosen))
    return len(chosen)


def main() -> int:
    """Compare an unbroken run with one that was killed; exits with 1 if they differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.randrange(10_000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = _write_rows(folder / "files.jsonl", options.rows)
        _say(f"{rows:,} real files, seed {seed}")
        inputs = str(folder / "files.jsonl")
        command = [SERVEKIT, "batch", inputs, "-o", str(folder / "unbroken.jsonl")]
        code = subprocess.run(command, cwd=EXAMPLE, check=False).returncode
        _say(f"the unbroken run ended with {code}")
        kill_after = sorted(random.Random(seed).sample(range(1, rows), options.kills))
        run_batch_with_kills([inputs], folder / "killed.jsonl", kill_after, cwd=EXAMPLE, say=_say)
        compared, differences = compare_results(folder / "unbroken.jsonl", folder / "killed.jsonl")
    _say(f"{compared:,} rows compared: {len(differences)} differ")
    for difference in differences[:10]:
        _say(difference)
    return int(bool(differences) or compared != rows)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
