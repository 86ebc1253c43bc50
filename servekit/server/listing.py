"""The list of predictions, newest first, without what makes them large."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from servekit.runtime.prediction import Prediction, Status
from servekit.store import Page

__all__ = ["Summary", "render_page"]


class Summary(msgspec.Struct):
    """A prediction without its input, output and logs."""

    id: str
    status: Status
    error: str | None
    metrics: dict[str, Any]
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None


def render_page(page: Page, limit: int, path: str) -> bytes:
    """Return a page as JSON; `next` is where the following one is below a path, or null."""
    following = None
    if page.next_cursor is not None:
        following = f"{path}?limit={limit}&cursor={page.next_cursor}"
    return msgspec.json.encode({"results": [_summarize(each) for each in page.predictions], "next": following})


def _summarize(prediction: Prediction) -> Summary:
    return Summary(
        id=prediction.id,
        status=prediction.status,
        error=prediction.error,
        metrics=prediction.metrics,
        created_at=datetime.fromtimestamp(prediction.created_at, UTC),
        started_at=_at(prediction.started_at),
        completed_at=_at(prediction.completed_at),
    )


def _at(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
