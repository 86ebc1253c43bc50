"""What a request says about its webhook."""

import pytest

from servekit.server.envelope import Envelope
from servekit.server.problems import Refusal
from servekit.server.webhooks.subscription import MAX_URL, Subscription, WebhookEvent, read_subscription

URL = "https://example.com/hooks?key=1"


def read(
    url: str | None = URL, events: list[str] | None = None, *, allow_private: bool = False, **headers: bytes
) -> Subscription | None:
    named = {name.encode(): value for name, value in headers.items()}
    envelope = Envelope(webhook=url, webhook_events_filter=events)
    return read_subscription(envelope, named, allow_private=allow_private)


@pytest.mark.parametrize("events", [None, ["start", "output", "logs", "completed"]])
def test_a_receiver_is_told_everything_unless_it_says_otherwise(events: list[str] | None) -> None:
    subscription = read(events=events)

    assert subscription is not None
    assert subscription.events == set(WebhookEvent)


def test_a_filter_that_names_nothing_has_nothing_told() -> None:
    assert read(events=[]) is None


def test_a_filter_names_what_is_told() -> None:
    subscription = read(events=["completed", "start", "completed"])

    assert subscription is not None
    assert subscription.events == {"start", "completed"}


@pytest.mark.parametrize("events", [None, ["completed"]])
def test_without_a_url_nothing_is_told(events: list[str] | None) -> None:
    assert read(None, events) is None


def test_the_trace_of_the_request_goes_along() -> None:
    subscription = read(traceparent=b"00-1-2-01", tracestate=b"a=b", cookie=b"c")

    assert subscription is not None
    assert subscription.trace == (("traceparent", b"00-1-2-01"), ("tracestate", b"a=b"))


@pytest.mark.parametrize("url", [None, URL])
def test_an_unknown_event_is_refused_with_its_place(url: str | None) -> None:
    with pytest.raises(Refusal) as caught:
        read(url, ["start", "done"])

    assert not isinstance(caught.value.detail, str)
    (problem,) = caught.value.detail
    assert (problem["loc"], problem["value"]) == (["body", "webhook_events_filter", 1], "done")
    assert "start, output, logs, completed" in problem["msg"]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "no URL of http or https"),
        ("example.com/hooks", "no URL of http or https"),
        ("ftp://example.com", "no URL of http or https"),
        ("https://", "no URL of http or https"),
        ("https://example.com:99999", "is not a URL"),
        ("https://exam ple.com/", "expected one like"),
        ("https://a\r\nX-Evil: 1/", "is not a URL"),
        ("https://a\r\nevil/", "expected one like"),
        ("https://e.com/" + "x" * MAX_URL, "may have 8192"),
        ("http://127.0.0.1/", "not on the public internet"),
        ("http://[::1]/", "not on the public internet"),
        ("http://[::ffff:10.0.0.1]/", "not on the public internet"),
        ("http://169.254.169.254/", "not on the public internet"),
        ("http://LOCALHOST:80/", "not on the public internet"),
        ("http://a.localhost/", "not on the public internet"),
    ],
)
def test_a_url_that_cannot_be_sent_to_is_refused(url: str, reason: str) -> None:
    with pytest.raises(Refusal) as caught:
        read(url)

    assert not isinstance(caught.value.detail, str)
    (problem,) = caught.value.detail
    assert (caught.value.status, problem["loc"]) == (422, ["body", "webhook"])
    assert reason in problem["msg"]


def test_a_refusal_shows_neither_password_nor_query() -> None:
    with pytest.raises(Refusal) as caught:
        read("http://user:geheim@127.0.0.1/x?token=geheim")

    assert "geheim" not in str(caught.value.detail)


def test_private_addresses_are_taken_where_they_are_allowed() -> None:
    subscription = read("http://127.0.0.1:8000/x", allow_private=True)

    assert subscription is not None
    assert (subscription.target.host, subscription.target.port) == ("127.0.0.1", 8000)
