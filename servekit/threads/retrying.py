"""What is tried again after a failure, how often, and after which pauses.

The library tenacity does the work. It is loaded when a policy is used: who needs no retries does not pay for it.
"""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypeVar

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["RetryOn", "RetryPolicy"]

_P = ParamSpec("_P")
_T = TypeVar("_T")

RetryOn: TypeAlias = type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool]
"""The classes of the errors that are worth another try, or a function that says so of one error."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When something that failed is tried again.

    The longest possible pause doubles with each failure; the pause itself is chosen by chance between 0 and that, so
    that calls that failed together do not come back together. An error with `retry_after_seconds`, such as `BusyError`,
    asks for a pause of at least that, and gets it up to `longest_pause_seconds`.

    Only an `Exception` is ever retried: cancelations, `KeyboardInterrupt` and the like are not.

    Args:
        retries: How many more tries there are after the first one.
        on: Which errors are worth another try.
        first_pause_seconds: The longest pause after the first failure.
        longest_pause_seconds: The longest pause at all.

    Raises:
        ValueError: A number is negative or not finite.
    """

    retries: int = 3
    on: RetryOn = Exception
    first_pause_seconds: float = 0.5
    longest_pause_seconds: float = 30.0

    def __post_init__(self) -> None:
        for name in ("retries", "first_pause_seconds", "longest_pause_seconds"):
            number = getattr(self, name)
            if not (math.isfinite(number) and number >= 0):
                raise ValueError(f"{name} is {number}; it must be 0 or more, and finite")

    def call(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Call `fn`, and again after failures. The pauses block the calling thread.

        Raises:
            BaseException: What the last try raised.
        """
        from tenacity import Retrying  # noqa: PLC0415 - see the module's docstring

        return Retrying(**self._strategies())(fn, *args, **kwargs)

    async def acall(self, fn: Callable[_P, Awaitable[_T]], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Await `fn`, and again after failures. A cancelation ends it at once, also in a pause.

        Raises:
            BaseException: What the last try raised.
        """
        from tenacity import AsyncRetrying  # noqa: PLC0415 - as above

        async def attempt() -> _T:  # tenacity awaits only what it can see to be a coroutine function
            return await fn(*args, **kwargs)

        return await AsyncRetrying(**self._strategies())(attempt)

    def pause_after(self, error: BaseException, failures: int) -> float | None:
        """Return how many seconds to wait before the next try, or None when there is to be none.

        For callers that have a way of their own to wait.

        Args:
            error: What the last try raised.
            failures: How many tries there were, this one included.
        """
        if failures > self.retries or not self._is_worth_retrying(error):
            return None
        from tenacity import RetryCallState, Retrying  # noqa: PLC0415 - as above

        state = RetryCallState(Retrying(), None, (), {})
        state.attempt_number = failures
        state.set_exception((type(error), error, error.__traceback__))
        return self._choose_pause(state)

    def _strategies(self) -> dict[str, Any]:
        from tenacity import retry_if_exception, stop_after_attempt  # noqa: PLC0415 - as above

        return {
            "stop": stop_after_attempt(self.retries + 1),
            "wait": self._choose_pause,
            "retry": retry_if_exception(self._is_worth_retrying),
            "reraise": True,
        }

    def _is_worth_retrying(self, error: BaseException) -> bool:
        if not isinstance(error, Exception):
            return False
        if isinstance(self.on, type) or not callable(self.on):
            return isinstance(error, self.on)
        return self.on(error)

    def _choose_pause(self, state: "RetryCallState") -> float:
        from tenacity import wait_random_exponential  # noqa: PLC0415 - as above

        chosen = wait_random_exponential(multiplier=self.first_pause_seconds, max=self.longest_pause_seconds)(state)
        error = None if state.outcome is None else state.outcome.exception()
        asked: float = getattr(error, "retry_after_seconds", 0.0)
        return max(chosen, min(asked, self.longest_pause_seconds))
