"""Ending in order: a signal unwinds the stack, once."""

import signal

import pytest

from servekit_cli.ending import terminable


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_unwinds_the_stack(number: signal.Signals, code: int) -> None:
    with pytest.raises(SystemExit) as ended, terminable():
        signal.raise_signal(number)

    assert ended.value.code == code


def clean_up_after(first: signal.Signals, again: signal.Signals) -> None:
    """End a block, and get another signal during its clean-up."""
    with terminable():
        try:
            with terminable():
                signal.raise_signal(first)
        finally:
            signal.raise_signal(again)


@pytest.mark.parametrize("again", [signal.SIGINT, signal.SIGTERM])
def test_the_same_wish_again_does_not_disturb_the_clean_up(again: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt) as ended:
        clean_up_after(signal.SIGINT, again)

    assert ended.value.__context__ is None


def test_a_later_signal_ends_the_clean_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 2.0])
    monkeypatch.setattr("servekit_cli.ending.time.monotonic", lambda: next(now))

    with pytest.raises(SystemExit):
        clean_up_after(signal.SIGINT, signal.SIGTERM)


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with terminable():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_handlers_of_before_are_back_after_the_block() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    with terminable():
        pass

    assert {number: signal.getsignal(number) for number in before} == before
