"""What clients ask for in Prefer and Accept."""

import pytest

from servekit.server.negotiation import Preference, parse_prefer, prefers, wants_events


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("respond-async", Preference(responds_async=True)),
        ("Respond-Async", Preference(responds_async=True)),
        ("respond-async, wait=5", Preference(responds_async=True, wait_seconds=5)),
        ('wait="10"', Preference(wait_seconds=10)),
        ("wait = 3 ; foo=bar, handling=lenient", Preference(wait_seconds=3)),
        ("wait=1, wait=2", Preference(wait_seconds=1)),
        ("wait=0", Preference(wait_seconds=0)),
        ("wait=0.3", Preference(wait_seconds=0.3)),
        ("wait=.3", Preference()),
        ("wait=1e3", Preference()),
        ("wait=nan", Preference()),
        ("wait=99999999999999999999", Preference(wait_seconds=86_400)),
        ("wait=-1", Preference()),
        ("wait=soon", Preference()),
        ("wait", Preference()),
        ("return=minimal", Preference()),
        (",;=,", Preference()),
        ("", Preference()),
    ],
)
def test_prefer_is_read_as_rfc_7240_has_it(value: str, expected: Preference) -> None:
    assert parse_prefer(value) == expected


@pytest.mark.parametrize(
    ("preference", "applied"),
    [
        (Preference(responds_async=True, wait_seconds=5), b"respond-async, wait=5"),
        (Preference(wait_seconds=0), b"wait=0"),
        (Preference(wait_seconds=0.3), b"wait=0.3"),
        (Preference(), b""),
    ],
)
def test_preference_applied_repeats_what_counts(preference: Preference, applied: bytes) -> None:
    assert preference.applied == applied


@pytest.mark.parametrize(
    ("preference", "patience"),
    [
        (Preference(), None),
        (Preference(responds_async=True), 0),
        (Preference(responds_async=True, wait_seconds=2), 2),
        (Preference(wait_seconds=2), 2),
    ],
)
def test_patience_is_what_the_client_waits(preference: Preference, patience: float | None) -> None:
    assert preference.patience_seconds == patience


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("text/event-stream", True),
        ("Text/Event-Stream; charset=utf-8", True),
        ("text/event-stream, */*;q=0.1", True),
        ("text/event-stream, application/json;q=0.9", True),
        ("text/event-stream, application/json", True),
        ("application/json, text/event-stream", False),
        ("application/json;q=0.5, text/event-stream", True),
        ("text/event-stream;q=0.5, application/json", False),
        ("text/event-stream;q=0", False),
        ("text/event-stream;q=nonsense", False),
        ("*/*", False),
        ("text/*", False),
        ("application/json", False),
        ("", False),
    ],
)
def test_accept_chooses_between_events_and_json(accept: str, expected: bool) -> None:
    assert wants_events(accept) is expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2", True),
        ("text/plain;version=0.0.4;q=0.5,application/openmetrics-text;q=0.4", False),
        ("application/openmetrics-text;q=0", False),
        ("text/plain", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_another_kind_than_the_usual_is_preferred_when_it_is_named_and_better(accept: str, expected: bool) -> None:
    assert prefers(accept, "application/openmetrics-text", over="text/plain") is expected
