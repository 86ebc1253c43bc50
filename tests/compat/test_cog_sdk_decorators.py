"""`@streaming` and `@concurrent`."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from servekit.compat.cog import concurrent, streaming
from servekit.errors import SignatureError
from servekit.signature import Signature

Read = Callable[..., Signature]


def plain() -> str:
    return "ok"


async def asynchronous() -> str:
    return "ok"


async def yielding() -> AsyncIterator[str]:
    yield "ok"


@pytest.mark.parametrize("decorate", [streaming, streaming(), concurrent, concurrent(), concurrent(max=1)])
def test_a_decorated_function_is_the_same_function(decorate: Callable[..., Any]) -> None:
    assert decorate(plain) is plain


@pytest.mark.parametrize("function", [asynchronous, yielding])
def test_more_than_one_at_a_time_is_noted_on_async_functions(function: Callable[..., Any]) -> None:
    assert vars(concurrent(max=3)(function))["__cog_concurrent_max__"] == 3


def test_more_than_one_at_a_time_is_refused_on_a_sync_function() -> None:
    with pytest.raises(TypeError, match="concurrent max greater than 1 requires an async function"):
        concurrent(max=2)(plain)


@pytest.mark.parametrize("value", [0, -1])
def test_less_than_one_at_a_time_is_refused(value: int) -> None:
    with pytest.raises(ValueError, match="concurrent max must be at least 1"):
        concurrent(max=value)


@pytest.mark.parametrize("value", [True, 1.5, "2", None])
def test_what_is_no_integer_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="concurrent max must be an integer"):
        concurrent(max=value)


def test_the_number_has_to_be_named() -> None:
    with pytest.raises(TypeError, match=r"concurrent must be used as @concurrent or @concurrent\(max=...\)"):
        concurrent(2)  # type: ignore[call-overload]


@pytest.mark.parametrize("decorator", ["@streaming", "@streaming()", "@concurrent\n    @streaming"])
def test_the_schema_says_that_the_output_may_be_streamed(read_runner: Read, decorator: str) -> None:
    schema = read_runner("", "Iterator[str]", decorator=decorator, body="yield 'a'").output_schema

    assert schema["x-cog-streaming"] is True


def test_without_the_decorator_the_schema_does_not_say_so(read_runner: Read) -> None:
    assert "x-cog-streaming" not in read_runner("", "Iterator[str]", body="yield 'a'").output_schema


@pytest.mark.parametrize("annotation", ["str", "list[str]"])
def test_streaming_needs_an_iterator(read_runner: Read, annotation: str) -> None:
    with pytest.raises(SignatureError, match=r"@streaming requires Iterator\[...\], AsyncIterator\[...\]"):
        read_runner("", annotation, decorator="@streaming")
