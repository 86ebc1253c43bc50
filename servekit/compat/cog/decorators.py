"""`@streaming` and `@concurrent`: what a `run` method says of itself."""

import inspect
from collections.abc import Callable
from typing import Any, Final, TypeVar, overload

__all__ = ["STREAMING_ATTRIBUTE", "concurrent", "streaming"]

STREAMING_ATTRIBUTE: Final = "__servekit_cog_streaming__"
"""Where `@streaming` leaves its mark on the function."""

_F = TypeVar("_F", bound=Callable[..., Any])


@overload
def streaming(fn: _F) -> _F: ...
@overload
def streaming(fn: None = None) -> Callable[[_F], _F]: ...
def streaming(fn: _F | None = None) -> _F | Callable[[_F], _F]:
    """Say that clients may have the output streamed; used as `@streaming` or `@streaming()`."""

    def mark(function: _F) -> _F:
        setattr(function, STREAMING_ATTRIBUTE, True)
        return function

    return mark if fn is None else mark(fn)


@overload
def concurrent(fn: _F) -> _F: ...
@overload
def concurrent(fn: None = None, *, max: int = 1) -> Callable[[_F], _F]: ...
def concurrent(
    fn: _F | None = None,
    *,
    max: int = 1,  # noqa: A002 - the name that authors know
) -> _F | Callable[[_F], _F]:
    """Say how many predictions may run at a time; used as `@concurrent` or `@concurrent(max=N)`.

    Raises:
        TypeError: It is used in another way, N is no integer, or is more than 1 on a function that is not async.
        ValueError: N is less than 1.
    """
    is_number = isinstance(max, int)  # pyright: ignore[reportUnnecessaryIsInstance] - authors need not have types
    if isinstance(max, bool) or not is_number:
        message = f"concurrent max must be an integer, not {max!r}"
        raise TypeError(message)
    if max < 1:
        message = f"concurrent max must be at least 1, not {max}"
        raise ValueError(message)

    def mark(function: _F) -> _F:
        if max > 1 and not (inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)):
            message = "concurrent max greater than 1 requires an async function"
            raise TypeError(message)
        function.__cog_concurrent_max__ = max  # type: ignore[attr-defined] # where code written for Cog looks for it
        return function

    if fn is None:
        return mark
    if not callable(fn):
        message = "concurrent must be used as @concurrent or @concurrent(max=...)"  # type: ignore[unreachable]
        raise TypeError(message)
    return mark(fn)
