"""What a request may ask for beside its input."""

import pytest

from servekit.runtime.terms import DEFAULT_TERMS, Terms
from servekit.server.envelope import parse_envelope
from servekit.server.problems import Refusal
from servekit.server.terms import make_terms


def read(body: bytes, caller: bytes | None = None) -> Terms:
    return make_terms(parse_envelope(body)[0], caller)


@pytest.mark.parametrize(
    ("body", "terms"),
    [
        (b"{}", Terms()),
        (b'{"priority": null, "timeout": null, "queue_timeout": null}', Terms()),
        (b'{"priority": -10}', Terms(priority=-10)),
        (b'{"priority": 10}', Terms(priority=10)),
        (b'{"timeout": 2}', Terms(timeout=2.0)),
        (b'{"timeout": 0.5, "queue_timeout": "500ms"}', Terms(timeout=0.5, queue_timeout=0.5)),
        (b'{"timeout": "10m", "queue_timeout": "30"}', Terms(timeout=600, queue_timeout=30)),
    ],
)
def test_terms_are_read(body: bytes, terms: Terms) -> None:
    assert read(body) == terms


def test_a_request_without_terms_costs_no_object_of_its_own() -> None:
    assert read(b'{"input": {}}') is make_terms(None, None) is DEFAULT_TERMS


def test_the_caller_goes_along() -> None:
    assert read(b"{}", b"me") == make_terms(None, b"me") == Terms(caller=b"me")
    assert read(b'{"priority": 1}', b"me") == Terms(priority=1, caller=b"me")


@pytest.mark.parametrize(
    ("key", "values", "message"),
    [
        (
            "priority",
            ["11", "-11", "99999999999999999999", "1" + "0" * 3000],
            "expected a whole number from -10 to 10; the higher goes first",
        ),
        (
            "timeout",
            ["0", "-1", '"0s"', '"-1s"', '"soon"', '""', '"' + "9" * 400 + '"', '"1d"'],
            "expected a number of seconds or a duration",
        ),
        ("queue_timeout", ["0", "-0.1", '"forever"'], "expected a number of seconds or a duration"),
        ("priority", ['"high"', "1.5", "true", "[]"], "Expected `int | null`"),
        ("timeout", ["true", "{}", "[1]"], "Expected `float | str | null`"),
    ],
)
def test_what_does_not_fit_is_answered_422_with_the_field(key: str, values: list[str], message: str) -> None:
    for value in values:
        with pytest.raises(Refusal) as caught:
            read(b'{"%b": %b}' % (key.encode(), value.encode()))

        assert caught.value.status == 422, value
        assert not isinstance(caught.value.detail, str)
        (problem,) = caught.value.detail
        assert problem["loc"] == ["body", key]
        assert problem["msg"].startswith(message), (value, problem)
        assert len(caught.value.body()) < 500
