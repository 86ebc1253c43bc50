"""What one caller may have."""

from servekit.runtime.callers import Callers
from servekit.spec import CallerSpec


def test_a_caller_has_room_for_as_many_as_one_may_have() -> None:
    callers = Callers(CallerSpec(max=2))

    callers.enter(b"a")
    assert callers.has_room(b"a")
    callers.enter(b"a")

    assert not callers.has_room(b"a")
    assert callers.has_room(b"b")


def test_an_end_makes_room() -> None:
    callers = Callers(CallerSpec(max=1))
    callers.enter(b"a")

    callers.leave(b"a")

    assert callers.has_room(b"a")


def test_nothing_is_kept_for_a_caller_who_has_nothing() -> None:
    callers = Callers(CallerSpec(max=3))
    for number in range(1000):
        callers.enter(b"%d" % number)
    for number in range(1000):
        callers.leave(b"%d" % number)

    assert len(callers) == 0


def test_the_explanation_names_the_header_and_the_limit_but_not_the_caller() -> None:
    callers = Callers(CallerSpec(header="Authorization", max=1))
    callers.enter(b"secret")

    text = callers.explain(b"secret")

    assert "Authorization" in text
    assert "as many predictions running and waiting as one may: 1 (serve.caller.max)" in text
    assert "secret" not in text


def test_callers_without_the_header_are_told_to_send_it() -> None:
    callers = Callers(CallerSpec(max=1))
    callers.enter(b"")

    assert "send that header" in callers.explain(b"")
