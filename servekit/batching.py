"""Predictors that take many predictions in one call: `Batch[T]` in the signature, and what `@batch` says of them.

A client sends and gets what one prediction takes and gives; the runtime gathers predictions that wait and calls
`predict` once for all of them, with a list for each parameter.
"""

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, TypeVar, get_args, get_origin, overload

from servekit.errors import SignatureError
from servekit.types import Batch

__all__ = ["BatchOptions", "batch", "bind_to_inputs", "find_batch_options", "unbatch"]

_ATTRIBUTE: Final = "__servekit_batch__"

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True, slots=True)
class BatchOptions:
    """What an author says of the batches of a predictor; None leaves it to the spec, and then to the default.

    Attributes:
        max_size: How many predictions one call takes at most.
        max_wait: For how many seconds the first one of a batch waits for more.
        max_cost: How much the predictions of one call may cost together.
        cost: Says what one prediction costs; called with its inputs by name.
        key: Says with which others one can be in a batch: those of the same key. Called like `cost`.
    """

    max_size: int | None = None
    max_wait: float | None = None
    max_cost: float | None = None
    cost: Callable[..., float] | None = None
    key: Callable[..., Any] | None = None


@overload
def batch(predict: _F, /) -> _F: ...
@overload
def batch(
    *,
    max_size: int | None = None,
    max_wait: float | None = None,
    max_cost: float | None = None,
    cost: Callable[..., float] | None = None,
    key: Callable[..., Any] | None = None,
) -> Callable[[_F], _F]: ...
def batch(
    predict: _F | None = None,
    /,
    *,
    max_size: int | None = None,
    max_wait: float | None = None,
    max_cost: float | None = None,
    cost: Callable[..., float] | None = None,
    key: Callable[..., Any] | None = None,
) -> _F | Callable[[_F], _F]:
    """Say how the predictions of a `predict` that takes a `Batch[T]` of each input are gathered.

    What `serve.batch` of the spec says counts more. Without either a batch is what waits when the worker is free, up
    to 32 predictions, and it waits for more only while that is worth it (see the page on batches).

    Args:
        predict: The method or function, when the decorator is written without arguments.
        max_size: How many predictions one call takes at most.
        max_wait: For how many seconds the first one of a batch waits for more, so that the batch gets full. With 0
            it never waits.
        max_cost: How much the predictions of one call may cost together, if one is more work than another. A single
            one that costs more runs alone.
        cost: Says what one prediction costs, such as its number of tokens; 1 if not given. It is called with the
            prediction's inputs by name, those of them that it takes, and must be quick.
        key: Says with which others a prediction can be in a batch, such as the shape of its image: those for which it
            returns the same. Called like `cost`; what it returns must be hashable.

    Raises:
        ValueError: A number is out of range, or `max_cost` stands without `cost`.
        TypeError: It is no number, or `cost` or `key` cannot be called.
    """
    options = BatchOptions(max_size, max_wait, max_cost, cost, key)
    _check(options)

    def mark(function: _F) -> _F:
        setattr(function, _ATTRIBUTE, options)
        return function

    return mark if predict is None else mark(predict)


def find_batch_options(predict: Callable[..., Any]) -> BatchOptions | None:
    """Return what `@batch` says of a function or method, or None."""
    found = getattr(predict, _ATTRIBUTE, None)
    return found if isinstance(found, BatchOptions) else None


def bind_to_inputs(function: Callable[..., Any], names: list[str], where: str) -> Callable[[Mapping[str, Any]], Any]:
    """Let `cost` or `key` be called with all inputs of a prediction, though it takes some of them only.

    Raises:
        SignatureError: It takes something that is no input.
    """
    parameters = inspect.signature(function).parameters.values()
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return lambda inputs: function(**inputs)
    taken = [each.name for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.POSITIONAL_ONLY)]
    foreign = [
        each.name
        for each in parameters
        if each.kind is each.POSITIONAL_ONLY or (each.name not in names and each.default is each.empty)
    ]
    if foreign:
        message = f"{where} takes {', '.join(foreign)}, and is called with inputs by name: {', '.join(names)}"
        raise SignatureError(message)
    wanted = [name for name in taken if name in names]
    return lambda inputs: function(**{name: inputs[name] for name in wanted})


def unbatch(annotation: Any) -> tuple[Any, bool]:
    """Return what stands inside of `Batch[...]`, and whether it was one; `Annotated` around it stays."""
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        inner, is_batch = unbatch(inner)
        return Annotated[(inner, *metadata)], is_batch
    if annotation is Batch:
        return Any, True
    if get_origin(annotation) is Batch:
        return get_args(annotation)[0], True
    return annotation, False


def _check(options: BatchOptions) -> None:
    size: Any = options.max_size
    if size is not None and (isinstance(size, bool) or not isinstance(size, int)):
        raise TypeError(f"max_size is {size!r}; it must be a whole number")
    if size is not None and size < 1:
        raise ValueError(f"max_size is {size}; it must be at least 1")
    _check_number("max_wait", options.max_wait, may_be_zero=True)
    _check_number("max_cost", options.max_cost, may_be_zero=False)
    for name, function in (("cost", options.cost), ("key", options.key)):
        if function is not None and not callable(function):
            raise TypeError(f"{name} is {function!r}; it must be a function of a prediction's inputs")
    if options.max_cost is not None and options.cost is None:
        raise ValueError("max_cost needs cost, the function that says what one prediction costs; or use max_size")


def _check_number(name: str, value: Any, *, may_be_zero: bool) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is {value!r}; it must be a number")
    if not math.isfinite(value) or value < 0 or (value == 0 and not may_be_zero):
        raise ValueError(f"{name} is {value!r}; it must be finite and {'not below' if may_be_zero else 'above'} 0")
