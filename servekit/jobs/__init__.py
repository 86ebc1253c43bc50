"""Batch jobs: a predictor over any number of rows, in bounded memory, with one result for each row."""

from servekit.jobs.engine import BatchState
from servekit.jobs.options import RETRYABLE, Concurrency
from servekit.jobs.pacing import parse_rate
from servekit.jobs.pool_target import PoolTarget
from servekit.jobs.rows import FailureKind, Outcome, Row, RowResult
from servekit.jobs.run import BatchRun, run_batch
from servekit.jobs.tally import Durations, ErrorCount, Summary, Tally, Throughput
from servekit.jobs.target import Cancel, CoroutineTarget, OnEnd, Target

__all__ = [
    "RETRYABLE",
    "BatchRun",
    "BatchState",
    "Cancel",
    "Concurrency",
    "CoroutineTarget",
    "Durations",
    "ErrorCount",
    "FailureKind",
    "OnEnd",
    "Outcome",
    "PoolTarget",
    "Row",
    "RowResult",
    "Summary",
    "Tally",
    "Target",
    "Throughput",
    "parse_rate",
    "run_batch",
]
