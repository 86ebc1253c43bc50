"""A reading as metric families of Prometheus. Imported at the first scrape."""

import platform
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from itertools import accumulate
from typing import cast

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from servekit.runtime.memory import measure_trees
from servekit.server.metrics.reading import Reading
from servekit.server.metrics.tally import FINAL, Histogram, Tally

__all__ = ["list_families", "write_metrics"]


def write_metrics(reading: Reading, *, is_openmetrics: bool) -> tuple[bytes, str]:
    """Measure the workers' memory and write everything out, in a thread.

    Returns:
        The text, and its media type.
    """
    sizes = measure_trees(reading.pids.values())
    memory = {number: size for number, pid in reading.pids.items() if (size := sizes[pid])}
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(list_families(reading, memory)))
    ProcessCollector(registry=registry)  # the server's own process, under the names that every client library uses
    if is_openmetrics:
        text = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call] # the library gives no types here
        return cast("bytes", text), openmetrics.CONTENT_TYPE_LATEST
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4


def list_families(reading: Reading, memory: Mapping[int, int]) -> Iterator[Metric]:
    """Make the families of a reading.

    Args:
        reading: What to show.
        memory: The bytes that workers take, by their number.
    """
    yield InfoMetricFamily(
        "servekit",
        "The server's version and that of its Python.",
        {"version": version("servekit"), "python_version": platform.python_version()},
    )
    yield from _list_prediction_families(reading.tally)
    yield _count(
        "servekit_webhook_deliveries",
        "Tries to deliver a webhook, by outcome.",
        "outcome",
        reading.tally.webhooks.items(),
    )
    yield from _list_capacity_families(reading)
    yield from _list_worker_families(reading, memory)


def _list_prediction_families(tally: Tally) -> Iterator[Metric]:
    yield _count(
        "servekit_predictions",
        "Predictions that have ended, by final status.",
        "status",
        [(status, tally.durations[status].count) for status in FINAL],
    )
    yield _count(
        "servekit_refused_requests",
        "Requests for a prediction that were answered with an error, by reason.",
        "reason",
        tally.refusals.items(),
    )
    durations = HistogramMetricFamily(
        "servekit_prediction_duration_seconds",
        "Time from a prediction's admission to its end, waiting included, by final status.",
        labels=["status"],
        unit="seconds",
    )
    for status in FINAL:
        durations.add_metric([status], *_split(tally.durations[status]))
    yield durations
    yield _distribute(
        "servekit_prediction_queue_time_seconds", "Time that a prediction waited for its slot.", tally.queue_times
    )
    yield _distribute(
        "servekit_prediction_predict_time_seconds",
        "Time that a prediction took in its worker, added when it ends.",
        tally.predict_times,
    )
    yield _distribute(
        "servekit_prediction_time_to_first_output_seconds",
        "Time from a prediction's admission to its first output, added when it ends.",
        tally.first_outputs,
    )
    yield _distribute(
        "servekit_prediction_batch_size",
        "In a batch of how many a prediction ran, itself included; of predictors that take batches.",
        tally.batch_sizes,
        unit="",
    )


def _list_capacity_families(reading: Reading) -> Iterator[Metric]:
    yield GaugeMetricFamily("servekit_ready", "1 when predictions are taken, as on /readyz, else 0.", reading.is_ready)
    yield GaugeMetricFamily("servekit_queue_length", "Predictions that wait for a slot.", reading.queue_length)
    yield GaugeMetricFamily(
        "servekit_queue_capacity", "Predictions that may wait (serve.queue.max).", reading.queue_capacity
    )
    yield GaugeMetricFamily("servekit_slots", "Predictions that can run at once now.", reading.slots)
    yield GaugeMetricFamily("servekit_slots_used", "Predictions that run now.", reading.slots_used)


def _list_worker_families(reading: Reading, memory: Mapping[int, int]) -> Iterator[Metric]:
    tally = reading.tally
    states = GaugeMetricFamily("servekit_workers", "Workers, by state.", labels=["state"])
    for state, number in reading.workers.items():
        states.add_metric([state], number)
    yield states
    yield CounterMetricFamily("servekit_worker_starts", "Workers that were started.", tally.starts)
    yield CounterMetricFamily(
        "servekit_worker_restarts", "Workers that were started in the place of one that was gone.", tally.restarts
    )
    yield _count("servekit_worker_deaths", "Workers that are gone, by cause.", "cause", tally.deaths.items())
    yield CounterMetricFamily(
        "servekit_setup_failures", "Times that a worker could not be made ready.", tally.setup_failures
    )
    yield _distribute(
        "servekit_worker_setup_duration_seconds",
        "Time from a worker's start until it was ready: import and setup.",
        tally.setups,
    )
    sizes = GaugeMetricFamily(
        "servekit_worker_memory_bytes",
        "Resident memory of a worker's process and of those that it started, by the worker's number.",
        labels=["worker"],
        unit="bytes",
    )
    for number, size in memory.items():
        sizes.add_metric([str(number)], size)
    yield sizes


def _count(name: str, documentation: str, label: str, counts: Iterable[tuple[str, int]]) -> Metric:
    family = CounterMetricFamily(name, documentation, labels=[label])
    for value, count in counts:
        family.add_metric([value], count)
    return family


def _distribute(name: str, documentation: str, histogram: Histogram, unit: str = "seconds") -> Metric:
    buckets, total = _split(histogram)
    return HistogramMetricFamily(name, documentation, buckets, total, unit=unit)


def _split(histogram: Histogram) -> tuple[list[tuple[str, float]], float]:
    """Return the buckets as Prometheus counts them, each with all that is smaller, and the sum."""
    names = [*map(str, histogram.bounds), "+Inf"]
    return list(zip(names, accumulate(map(float, histogram.counts)), strict=True)), histogram.sum


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._families
