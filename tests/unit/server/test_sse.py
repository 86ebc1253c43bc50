"""Events as they are sent."""

import json

import pytest

from servekit.runtime.prediction import Prediction, Status
from servekit.server.problems import Refusal
from servekit.server.sse import MAX_SEND_BYTES, EventCursor, format_error, parse_last_event_id


def make(raw_input: bytes = b"{}") -> Prediction:
    return Prediction("abc", 1, raw_input, streams=True)


def read_all(cursor: EventCursor) -> bytes:
    parts: list[bytes] = []
    while not cursor.is_at_end:
        parts.append(cursor.read())
    return b"".join(parts)


def events(text: bytes) -> list[tuple[int, str, object]]:
    found: list[tuple[int, str, object]] = []
    for block in text.decode().removesuffix("\n\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return found


def test_every_event_has_its_number_its_name_and_its_data() -> None:
    prediction = make()
    prediction.start()
    prediction.add_outputs([b'"a"', b'"b"'])
    prediction.add_log("stdout", "hm\n")
    prediction.add_outputs([b'"c"'])
    prediction.add_metric("tokens", b"3", "replace")

    text = EventCursor(prediction).read()

    assert text.startswith(b'id: 0\nevent: start\ndata: {"id":"abc","status":"processing"}\n\n')
    assert events(text)[1:] == [
        (1, "output", {"chunk": "a", "index": 0}),
        (2, "output", {"chunk": "b", "index": 1}),
        (3, "log", {"source": "stdout", "data": "hm\n"}),
        (4, "output", {"chunk": "c", "index": 2}),
        (5, "metric", {"name": "tokens", "value": 3, "mode": "replace"}),
    ]


def test_completed_holds_the_snapshot() -> None:
    prediction = make()
    prediction.start()
    prediction.finish(Status.FAILED, error="no")

    _, last = events(EventCursor(prediction).read())

    assert last == (1, "completed", json.loads(prediction.snapshot()))


def test_line_breaks_in_the_client_s_input_do_not_break_the_stream() -> None:
    prediction = make(b'{\r\n\r\n  "a":\n\n"x\\ny"}')
    prediction.finish(Status.SUCCEEDED)

    ((_, _, data),) = events(EventCursor(prediction).read())

    assert isinstance(data, dict)
    assert data["input"] == {"a": "x\ny"}


def test_a_reader_goes_on_where_it_was() -> None:
    prediction = make()
    prediction.start()
    cursor = EventCursor(prediction)
    cursor.read()
    prediction.add_outputs([b"1"])
    cursor.read()
    prediction.add_outputs([b"2"])

    assert events(cursor.read()) == [(2, "output", {"chunk": 2, "index": 1})]
    assert cursor.is_at_end


@pytest.mark.parametrize("seen", range(6))
def test_a_reader_that_comes_back_gets_exactly_the_rest(seen: int) -> None:
    prediction = make()
    prediction.start()
    prediction.add_outputs([b"1"])
    prediction.add_log("stdout", "x")
    prediction.add_outputs([b"2", b"3"])

    whole = events(read_all(EventCursor(prediction)))
    rest = EventCursor(prediction, seen)

    assert ([] if rest.is_at_end else events(read_all(rest))) == whole[seen:]


def test_much_is_sent_in_pieces_and_nothing_is_lost() -> None:
    prediction = make()
    prediction.start()
    prediction.add_outputs([b'"%d"' % number for number in range(50_000)])
    cursor = EventCursor(prediction)
    pieces: list[bytes] = []

    while not cursor.is_at_end:
        pieces.append(cursor.read())

    assert max(map(len, pieces)) < 2 * MAX_SEND_BYTES
    assert [data for _, _, data in events(b"".join(pieces))][1:] == [
        {"chunk": str(number), "index": number} for number in range(50_000)
    ]


def test_a_large_item_goes_out_by_itself() -> None:
    prediction = make()
    large = b'"' + b"x" * MAX_SEND_BYTES + b'"'
    prediction.add_outputs([large, large, large])
    cursor = EventCursor(prediction)

    assert len(cursor.read()) < 2 * MAX_SEND_BYTES


@pytest.mark.parametrize("value", [b"", b"x", b"-1", b"2", b"1.0", b"9" * 30, "²".encode()])
def test_a_last_event_id_that_is_none_is_answered_400(value: bytes) -> None:
    prediction = make()
    prediction.start()
    prediction.add_outputs([b"1"])

    with pytest.raises(Refusal) as caught:
        parse_last_event_id(value, prediction)

    assert caught.value.status == 400


def test_the_last_event_id_is_the_last_that_was_seen() -> None:
    prediction = make()
    prediction.start()
    prediction.add_outputs([b"1"])

    assert [parse_last_event_id(value, prediction) for value in (b"0", b"1")] == [1, 2]


def test_the_backlog_is_what_was_not_read_yet() -> None:
    prediction = make()
    prediction.add_outputs([b"1234"] * 10)

    assert EventCursor(prediction, 4).backlog(100) == (6, 24)
    assert EventCursor(prediction, 4).backlog(3) == (6, 12)


@pytest.mark.parametrize(("sent", "number"), [(0, b""), (1, b"0"), (12, b"11")])
def test_an_error_has_the_id_of_the_last_event_that_was_sent(sent: int, number: bytes) -> None:
    assert format_error('"no"', sent) == b'id: %b\nevent: error\ndata: {"error":"no"}\n\n' % number
