"""The body of a prediction request."""

import contextlib

import msgspec
import pytest

from servekit.server.envelope import check_id, parse_envelope
from servekit.server.problems import Refusal


def test_the_input_stays_the_bytes_that_it_is() -> None:
    _, raw_input = parse_envelope(b'{"input": {"a":  1.0,\n "b": "\\u00e9"}, "id": "x"}')

    assert raw_input == b'{"a":  1.0,\n "b": "\\u00e9"}'


@pytest.mark.parametrize("body", [b"", b"{}", b'{"input": null}', b'{"created_at": "now"}'])
def test_a_missing_input_is_an_empty_one(body: bytes) -> None:
    assert parse_envelope(body)[1] == b"{}"


def test_id_and_context_are_read() -> None:
    envelope, _ = parse_envelope(b'{"id": "x", "context": {"tenant": "a", "tries": 3}}')

    assert (envelope.id, envelope.context) == ("x", {"tenant": "a", "tries": 3})


@pytest.mark.parametrize("body", [b"{", b"nonsense", b'{"input": }', b'{"id": "\xff"}'])
def test_what_is_not_json_is_answered_400(body: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        parse_envelope(body)

    assert caught.value.status == 400
    assert "not valid JSON" in str(caught.value.detail)


@pytest.mark.parametrize("place", [b'{"input": %b}', b'{"else": %b}', b"%b"])
def test_json_that_is_too_deep_is_refused_and_harms_nothing(place: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        parse_envelope(place % (b"[" * 100_000 + b"]" * 100_000))

    assert caught.value.status in (400, 422)


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        (b"[]", ["body"]),
        (b'{"id": 3}', ["body", "id"]),
        (b'{"context": []}', ["body", "context"]),
        (b'{"context": {"k": [1, 1e400]}}', ["body", "context"]),
        (b'{"context": {"k": {"l": ' + b"9" * 5000 + b"}}}", ["body", "context"]),
        (b'{"context": {"k": 1, "l": {"m": 18446744073709551616}}}', ["body", "context", "l"]),
        (b'{"webhook": "https://example.com"}', ["body", "webhook"]),
        (b'{"webhook_events_filter": []}', ["body", "webhook_events_filter"]),
    ],
)
def test_a_wrong_envelope_is_answered_422_with_the_place(body: bytes, loc: list[str]) -> None:
    with pytest.raises(Refusal) as caught:
        parse_envelope(body)

    assert caught.value.status == 422
    assert not isinstance(caught.value.detail, str)
    assert caught.value.detail[0]["loc"] == loc


def test_a_context_that_is_taken_can_be_sent_on_in_its_message() -> None:
    contexts: list[object] = []
    for depth in range(850, 1000):
        with contextlib.suppress(Refusal):
            contexts.append(parse_envelope(b'{"context": {"k": %b}}' % (b"[" * depth + b"]" * depth))[0].context)

    for context in contexts:
        msgspec.msgpack.encode([[[[context]]]])


@pytest.mark.parametrize("name", ["a", "A-b_c.d~9", "x" * 128])
def test_proper_ids_are_taken(name: str) -> None:
    assert check_id(name, ["path", "id"]) == name


@pytest.mark.parametrize("name", ["", "x" * 129, "a/b", "a b", "ä", "a\n", "a\x00", "%2f", "../x"])
def test_other_ids_are_answered_422(name: str) -> None:
    with pytest.raises(Refusal) as caught:
        check_id(name, ["path", "id"])

    assert caught.value.status == 422
