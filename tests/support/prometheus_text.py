"""What `/metrics` wrote, read back by Prometheus' own parsers."""

from collections.abc import Callable, Iterable, Mapping
from typing import cast

from prometheus_client.core import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

__all__ = ["Samples", "parse_metrics", "read_samples"]

Samples = Mapping[tuple[str, ...], float]
"""Values by name and the values of the labels."""


def parse_metrics(text: str, *, is_openmetrics: bool = False) -> dict[str, Metric]:
    """Read the families by name; a fault in the text is an error."""
    untyped = openmetrics.text_string_to_metric_families  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - it is
    parse = cast("Callable[[str], Iterable[Metric]]", untyped) if is_openmetrics else text_string_to_metric_families
    return {family.name: family for family in parse(text)}


def read_samples(text: str, *, is_openmetrics: bool = False) -> Samples:
    """Read all samples."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in parse_metrics(text, is_openmetrics=is_openmetrics).values()
        for sample in family.samples
    }
