"""A reading as Prometheus gets it."""

import copy
import subprocess
import sys

import pytest
from prometheus_text import read_samples

from servekit.runtime.death import DeathCause
from servekit.server.metrics.families import list_families, write_metrics
from servekit.server.metrics.reading import WORKER_STATES, Reading
from servekit.server.metrics.tally import RefusalReason, Tally


def make_reading(tally: Tally, **values: int) -> Reading:
    numbers = {"queue_length": 0, "queue_capacity": 100, "slots_used": 0, "slots": 1, **values}
    return Reading(tally=tally, is_ready=True, workers=dict.fromkeys(WORKER_STATES, 0), pids={}, **numbers)


@pytest.mark.parametrize("is_openmetrics", [False, True])
def test_what_is_written_can_be_read_back(is_openmetrics: bool) -> None:
    tally = Tally()
    tally.deaths[DeathCause.SIGSEGV] = 3

    text, media_type = write_metrics(make_reading(tally, queue_length=5), is_openmetrics=is_openmetrics)

    samples = read_samples(text.decode(), is_openmetrics=is_openmetrics)
    assert samples["servekit_queue_length",] == 5
    assert samples["servekit_worker_deaths_total", "sigsegv"] == 3
    assert media_type.startswith("application/openmetrics-text" if is_openmetrics else "text/plain")


def test_a_worker_that_is_gone_has_no_memory() -> None:
    reading = make_reading(Tally())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        reading.pids.update({7: process.pid, 8: 1 << 22})

        text, _ = write_metrics(reading, is_openmetrics=False)

        process.communicate(b"\n")
    samples = read_samples(text.decode())
    assert samples["servekit_worker_memory_bytes", "7"] > 1_000_000
    assert ("servekit_worker_memory_bytes", "8") not in samples


def test_each_bucket_counts_the_smaller_ones_too() -> None:
    tally = Tally()
    for value in (0.0001, 0.0002, 0.3, 9999.0):
        tally.queue_times.observe(value)

    families = {family.name: family for family in list_families(make_reading(tally), {})}

    samples = families["servekit_prediction_queue_time_seconds"].samples
    buckets = {sample.labels["le"]: sample.value for sample in samples if sample.name.endswith("_bucket")}
    assert (buckets["0.001"], buckets["0.25"], buckets["0.5"], buckets["3600.0"], buckets["+Inf"]) == (2, 2, 3, 3, 4)


def test_every_value_of_a_label_is_there_before_it_happens() -> None:
    families = {family.name: family for family in list_families(make_reading(Tally()), {})}

    def list_values(name: str, label: str) -> set[str]:
        return {sample.labels[label] for sample in families[name].samples}

    assert list_values("servekit_worker_deaths", "cause") == set(DeathCause)
    assert list_values("servekit_refused_requests", "reason") == set(RefusalReason)
    assert list_values("servekit_workers", "state") == set(WORKER_STATES)


def test_names_keep_to_the_conventions() -> None:
    families = list(list_families(make_reading(Tally()), {}))

    assert all(family.name.startswith("servekit") for family in families)
    assert all(family.documentation.endswith(".") for family in families)
    assert all(family.unit == "seconds" for family in families if family.name.endswith("_seconds"))


def test_a_copy_of_a_tally_stays_as_it_was() -> None:
    tally = Tally()
    before = copy.deepcopy(tally)

    tally.queue_times.observe(1.0)
    tally.deaths[DeathCause.EXIT] += 1

    assert (before.queue_times.count, before.deaths[DeathCause.EXIT]) == (0, 0)
