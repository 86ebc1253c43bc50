"""Who may join a stream, and from where on."""

import pytest

from servekit.errors import StreamLimitError
from servekit.runtime.prediction import Prediction, Status
from servekit.server.joining import Start, check_room, find_start
from servekit.server.sse import format_truncation


def make(events: int, *, is_done: bool = False) -> Prediction:
    prediction = Prediction("abc", 1, b"{}", streams=True)
    prediction.start()
    prediction.add_outputs([b'"x"'] * (events - 1 - is_done))
    if is_done:
        prediction.finish(Status.SUCCEEDED)
    return prediction


@pytest.mark.parametrize(
    ("seen", "history", "expected"),
    [
        (0, None, Start(0)),
        (3, None, Start(3)),
        (0, 5, Start(0)),
        (0, 2, Start(3, skipped=3)),
        (1, 2, Start(3, skipped=2)),
        (3, 2, Start(3)),
        (4, 2, Start(4)),
        (0, 0, Start(5)),
        (4, 0, Start(5)),
    ],
)
def test_a_stream_begins_where_the_client_or_the_history_says(seen: int, history: int | None, expected: Start) -> None:
    assert find_start(make(5), seen, history) == expected


def test_without_a_history_the_end_is_told_all_the_same() -> None:
    assert find_start(make(5, is_done=True), 0, 0) == Start(4)


def test_what_is_gone_is_told_with_the_id_of_the_last_of_it() -> None:
    event = format_truncation(3, 2)

    assert event == (
        b'id: 2\nevent: error\ndata: {"error":"SSE stream replay truncated; events were dropped","skipped":2}\n\n'
    )


def test_there_is_a_limit_to_the_streams_of_one_prediction() -> None:
    prediction = make(1)
    prediction.readers = 1023
    check_room(prediction)

    prediction.readers += 1

    with pytest.raises(StreamLimitError, match="1024 clients have the prediction 'abc' streamed already"):
        check_room(prediction)
