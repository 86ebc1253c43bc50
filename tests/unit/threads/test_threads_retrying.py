import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from servekit.errors import BusyError, CancelationError
from servekit.threads import RetryPolicy


class Flaky:
    """Fails with each of some errors in turn, and then succeeds."""

    def __init__(self, *errors: BaseException) -> None:
        self._errors = list(errors)
        self.calls = 0

    def __call__(self, word: str) -> str:
        self.calls += 1
        if self._errors:
            raise self._errors.pop(0)
        return word

    async def awaited(self, word: str) -> str:
        return self(word)


def call_sync(policy: RetryPolicy, flaky: Flaky) -> str:
    return policy.call(flaky, "done")


def call_async(policy: RetryPolicy, flaky: Flaky) -> str:
    return asyncio.run(policy.acall(flaky.awaited, "done"))


Call = Callable[[RetryPolicy, Flaky], str]
both_ways = pytest.mark.parametrize("call", [call_sync, call_async])


def quick(**options: Any) -> RetryPolicy:
    return RetryPolicy(first_pause_seconds=0, **options)


@both_ways
def test_a_call_is_made_again_until_it_succeeds(call: Call) -> None:
    flaky = Flaky(LookupError(), OSError())

    assert call(quick(retries=2), flaky) == "done"
    assert flaky.calls == 3


@both_ways
def test_the_last_error_is_raised_when_all_tries_have_failed(call: Call) -> None:
    flaky = Flaky(LookupError("first"), LookupError("last"))

    with pytest.raises(LookupError, match="last"):
        call(quick(retries=1), flaky)
    assert flaky.calls == 2


def is_os_error(error: Exception) -> bool:
    return isinstance(error, OSError)


@both_ways
@pytest.mark.parametrize("on", [OSError, (OSError, EOFError), is_os_error])
def test_only_what_is_worth_it_is_tried_again(call: Call, on: Any) -> None:
    flaky = Flaky(TimeoutError(), LookupError())

    with pytest.raises(LookupError):
        call(quick(on=on), flaky)
    assert flaky.calls == 2


@both_ways
@pytest.mark.parametrize("error", [CancelationError, asyncio.CancelledError])
def test_what_is_no_exception_is_never_tried_again(call: Call, error: type[BaseException]) -> None:
    flaky = Flaky(error())

    with pytest.raises(error):
        call(quick(on=bool), flaky)
    assert flaky.calls == 1


def test_pauses_grow_up_to_a_limit_and_are_spread() -> None:
    policy = RetryPolicy(retries=10, first_pause_seconds=1, longest_pause_seconds=8)

    longest = [max(policy.pause_after(OSError(), failures) or 0 for _ in range(300)) for failures in range(1, 7)]

    assert [limit * 0.8 < seen <= limit for limit, seen in zip([1, 2, 4, 8, 8, 8], longest, strict=True)] == [True] * 6


def test_an_error_may_ask_for_a_pause() -> None:
    policy = RetryPolicy(first_pause_seconds=0.1, longest_pause_seconds=20)

    assert policy.pause_after(BusyError("full", retry_after_seconds=7), 1) == 7
    assert policy.pause_after(BusyError("full", retry_after_seconds=900), 1) == 20


@pytest.mark.parametrize("name", ["retries", "first_pause_seconds", "longest_pause_seconds"])
def test_a_negative_number_is_refused(name: str) -> None:
    options: dict[str, Any] = {name: -1}

    with pytest.raises(ValueError, match=f"{name} is -1"):
        RetryPolicy(**options)


def test_the_library_behind_it_is_loaded_only_when_something_is_retried() -> None:
    program = """
import sys
from servekit import RetryPolicy, parallel
policy = RetryPolicy()
parallel(int, [1, 2])
assert "tenacity" not in sys.modules
policy.call(int)
assert "tenacity" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
