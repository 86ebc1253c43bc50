"""The body of a prediction request."""

import contextlib

import msgspec
import pytest

from servekit.server.envelope import check_id, parse_envelope
from servekit.server.problems import Refusal


def test_the_input_stays_the_bytes_that_it_is() -> None:
    _, raw_input = parse_envelope(b'{"input": {"a":  1.0,\n "b": "\\u00e9"}, "id": "x"}')

    assert raw_input == b'{"a":  1.0,\n "b": "\\u00e9"}'


@pytest.mark.parametrize("body", [b"", b"{}", b'{"input": null}', b'{"created_at": "now"}', b'{"webhook": null}'])
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
        (b'{"webhook": {}}', ["body", "webhook"]),
        (b'{"webhook_events_filter": [1]}', ["body", "webhook_events_filter", 0]),
        (b'{"output_file_prefix": "https://example.com"}', ["body", "output_file_prefix"]),
    ],
)
def test_a_wrong_envelope_is_answered_422_with_the_place(body: bytes, loc: list[str | int]) -> None:
    with pytest.raises(Refusal) as caught:
        parse_envelope(body)

    assert caught.value.status == 422
    assert not isinstance(caught.value.detail, str)
    assert caught.value.detail[0]["loc"] == loc


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        ("prompt", 'put it below "input", as in {"input": {"prompt": ...}}'),
        ("inputs", 'did you mean "input"?'),
        ("contxt", 'did you mean "context"?'),
        ("promt", 'did you mean the input "prompt"?'),
        ("zzz", "known are"),
    ],
)
def test_an_unknown_key_is_answered_422_with_what_was_probably_meant(key: str, advice: str) -> None:
    with pytest.raises(Refusal) as caught:
        parse_envelope(b'{"id": "x", "%b": {"a": 1}}' % key.encode(), lambda: ["prompt", "seed"])

    assert not isinstance(caught.value.detail, str)
    (problem,) = caught.value.detail
    assert (caught.value.status, problem["loc"], problem["type"]) == (422, ["body", key], "unknown")
    assert advice in problem["msg"]


def test_all_unknown_keys_are_told_at_once_but_not_without_end() -> None:
    body = msgspec.json.encode({f"{number}" + "x" * 1000: 0 for number in range(1000)})

    with pytest.raises(Refusal) as caught:
        parse_envelope(body)

    assert len(caught.value.detail) == 50
    assert len(caught.value.body()) < 20_000


def test_what_is_cut_after_an_unknown_key_is_no_json() -> None:
    with pytest.raises(Refusal) as caught:
        parse_envelope(b'{"prompt": ')

    assert caught.value.status == 400


@pytest.mark.parametrize(("body", "has_input"), [(b"", False), (b'{"id": "x"}', False), (b'{"input": {}}', True)])
def test_an_envelope_knows_whether_it_has_an_input(body: bytes, has_input: bool) -> None:
    assert parse_envelope(body)[0].has_input is has_input


def test_a_context_that_is_taken_can_be_sent_on_in_its_message() -> None:
    contexts: list[object] = []
    for depth in range(850, 1000):
        with contextlib.suppress(Refusal):
            contexts.append(parse_envelope(b'{"context": {"k": %b}}' % (b"[" * depth + b"]" * depth))[0].context)

    for context in contexts:
        msgspec.msgpack.encode([[[[context]]]])


@pytest.mark.parametrize("name", ["a", "A-b_c.d~9", "urn:uuid:1", "YWI+Yw==", "a@b,c", "x" * 128])
def test_proper_ids_are_taken(name: str) -> None:
    assert check_id(name, ["path", "id"]) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "x" * 129, "a/b", "a b", "ä", "a\n", "a\x00", "%2f", "../x", 'a"b', "a\\b", "a?b", "a#b"]
)
def test_other_ids_are_answered_422(name: str) -> None:
    with pytest.raises(Refusal) as caught:
        check_id(name, ["path", "id"])

    assert caught.value.status == 422
