"""Batch jobs: `python -m benchmarks.jobs [--rows N] [--slots 1,4] [--workers 1,2]`.

A predictor that does nothing runs over rows that a generator makes, by `run_batch`, and a writer puts one line of JSON
for each result into a file. Each line of the table is a process of its own, once with a thousand rows and once with
all of them: their peaks of memory tell whether it grows with the rows.

    rows/s      over the whole job, without the start of the workers
    job, worker the peak of the resident set of the process of the job, and of the largest worker, in MB
    growth      how much both are above those of the run with a thousand rows, in MB
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import uvloop

from servekit.jobs import PoolTarget, RowResult, run_batch
from servekit.spec import Range, Spec
from servekit.spec.serve import ServeSpec

PROJECT = Path(__file__).parent / "projects/batch"
FEW = 1000


def main() -> None:
    """Measure and print a table; or, in a process of its own, measure one line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.jobs", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="how many rows (1000000)")
    parser.add_argument("--slots", default="1,4,16", help="values of serve.concurrency (1,4,16)")
    parser.add_argument("--workers", default="1", help="values of serve.workers (1)")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    slots, workers = ([int(each) for each in text.split(",")] for text in (arguments.slots, arguments.workers))
    if arguments.measure:
        print(json.dumps(uvloop.run(measure(arguments.rows, slots[0], workers[0]))))
        return
    print("| workers | slots | rows | rows/s | job MB | worker MB | growth MB |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for count in workers:
        for each in slots:
            few, many = (measure_apart(rows, each, count) for rows in (FEW, arguments.rows))
            growth = many["job"] + many["worker"] - few["job"] - few["worker"]
            print(
                f"| {count} | {each} | {arguments.rows} | {many['rate']:.0f} | {many['job']:.1f} | "
                f"{many['worker']:.1f} | {growth:.1f} |",
                flush=True,
            )


def measure_apart(rows: int, slots: int, workers: int) -> dict[str, float]:
    """Measure in a process of its own, whose peak of memory is that of this job."""
    command = (sys.executable, "-m", "benchmarks.jobs", "--measure")
    options = (f"--rows={rows}", f"--slots={slots}", f"--workers={workers}")
    found: dict[str, float] = json.loads(
        subprocess.run([*command, *options], check=True, stdout=subprocess.PIPE).stdout
    )
    return found


async def measure(rows: int, slots: int, workers: int) -> dict[str, float]:
    """Run one job."""
    serve = ServeSpec(workers=Range(workers, workers), concurrency=Range(slots, slots))
    spec = Spec(predictor="predict.py:Predictor", path=PROJECT / "servekit.yaml", serve=serve)
    with tempfile.TemporaryFile() as file:
        async with PoolTarget(spec) as target:
            started = time.perf_counter()
            async with run_batch(target, make_rows(rows)) as results:
                async for result in results:
                    file.write(make_line(result))
            seconds = time.perf_counter() - started
            assert results.tally.succeeded == rows
    job, worker = (resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {"rate": rows / seconds, "job": job, "worker": worker}


def make_rows(count: int) -> Iterator[dict[str, str]]:
    """Make rows of some 80 bytes."""
    return ({"text": f"row {number} of a job that has {count} of them, with some text"} for number in range(count))


def make_line(result: RowResult) -> bytes:
    """Write a result as a line of JSON, its input and output untouched."""
    line = {
        "row": result.number,
        "status": result.status,
        "input": msgspec.Raw(result.row.raw_input),
        "output": msgspec.Raw(result.raw_output),
        "error": result.error,
    }
    return msgspec.json.encode(line) + b"\n"


if __name__ == "__main__":
    main()
