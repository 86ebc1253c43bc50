"""The reference of metrics names all of them, and every value of their labels."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.core import Metric

from servekit.runtime.death import DeathCause
from servekit.server.metrics.families import list_families, write_metrics
from servekit.server.metrics.reading import WORKER_STATES, Reading
from servekit.server.metrics.tally import FINAL, RefusalReason, Tally, WebhookOutcome

PAGE = (Path(__file__).parents[2] / "docs/reference/metrics.md").read_text(encoding="utf-8")
READING = Reading(Tally(), True, 0, 0, 0, 0, dict.fromkeys(WORKER_STATES, 0), {})


def list_names() -> Iterator[str]:
    def name(family: Metric) -> str:
        return family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")

    yield from map(name, list_families(READING, {}))
    text, _ = write_metrics(READING, is_openmetrics=False)
    yield from (line.split()[2] for line in text.decode().splitlines() if line.startswith("# TYPE process_"))


@pytest.mark.parametrize("name", list(list_names()))
def test_every_metric_is_documented(name: str) -> None:
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("value", [*DeathCause, *RefusalReason, *FINAL, *WORKER_STATES, *WebhookOutcome])
def test_every_value_of_a_label_is_documented(value: str) -> None:
    assert f"| `{value}` |" in PAGE
