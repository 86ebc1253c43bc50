"""The soak, for some seconds; `make soak` is the same at length."""

import pytest
from soak.drive import soak


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["SyncStream", "AsyncValue"])
def test_nothing_is_lost_doubled_or_left_while_workers_are_killed(kind: str) -> None:
    report = soak(kind, predictions=800, warmup=80, clients=64, seed=4)

    assert report.faults == [], report
