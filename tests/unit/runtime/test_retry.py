"""When something is sent again."""

import pytest

from servekit.runtime.retry import choose_pause, is_worth_retrying, parse_retry_after

NOW = 1_445_412_480.0
"""Wed, 21 Oct 2015 07:28:00 GMT, the example of RFC 9110."""


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 599])
def test_what_may_pass_is_tried_again(status: int) -> None:
    assert is_worth_retrying(status)


@pytest.mark.parametrize("status", [301, 304, 400, 401, 403, 404, 410, 422, 499])
def test_a_no_is_a_no(status: int) -> None:
    assert not is_worth_retrying(status)


@pytest.mark.parametrize(
    ("failures", "longest"), [(1, 0.2), (2, 0.4), (3, 0.8), (9, 51.2), (10, 102.4), (11, 102.4), (100, 102.4)]
)
def test_pauses_double_up_to_a_limit_and_are_spread(failures: int, longest: float) -> None:
    pauses = [choose_pause(failures, 0) for _ in range(200)]

    assert longest / 2 <= min(pauses) < max(pauses) <= longest


@pytest.mark.parametrize(("asked", "granted"), [(30, 30), (1e9, 600)])
def test_a_receiver_is_left_alone_as_long_as_it_asks_within_reason(asked: float, granted: float) -> None:
    assert choose_pause(1, asked) == granted


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0),
        ("120", 120),
        (" 7 ", 7),
        ("Wed, 21 Oct 2015 07:29:30 GMT", 90),
        ("Wed, 21 Oct 2015 07:00:00 GMT", 0),
        ("soon", 0),
        ("-5", 0),
        ("1.5", 0),
        ("9" * 5000, 999_999_999),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float) -> None:
    assert parse_retry_after(value, NOW) == seconds
