"""A predictor's `predict`, called directly for many inputs, in this process: what `BasePredictor.batch` does."""

import asyncio
import inspect
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any, Final, Literal

from servekit.batch_entries import read_entries
from servekit.batching import find_batch_options, unbatch
from servekit.threads import parallel
from servekit.types import END

__all__ = ["predict_all"]

Inputs = Mapping[str, Any]


def predict_all(
    predict: Callable[..., Any],
    inputs: Iterable[Inputs],
    *,
    max_concurrency: int,
    on_error: Literal["raise", "collect"],
) -> list[Any]:
    """Call `predict` for each of the inputs; see `BasePredictor.batch`, which says what is given back and raised.

    Args:
        predict: Sync or async, a generator or not, for one input or for batches.
        inputs: The arguments by name; each has all that `predict` takes.
        max_concurrency: How many calls may run at a time.
        on_error: As for `parallel`.
    """
    is_async = inspect.iscoroutinefunction(predict) or inspect.isasyncgenfunction(predict)
    if is_async:
        _refuse_running_loop()
    if not _takes_batches(predict):
        call = partial(_call_async if is_async else _call, predict)
        return parallel(call, inputs, max_concurrency=max_concurrency, on_error=on_error)
    options = find_batch_options(predict)
    groups = _Groups(inputs, _DEFAULT_SIZE if options is None else options.max_size or _DEFAULT_SIZE)
    call = partial(_call_batch_async if is_async else _call_batch, predict)
    found: list[Any] = parallel(call, groups, max_concurrency=max_concurrency, on_error=on_error)
    values = [value for size, group in zip(groups.sizes, found, strict=True) for value in _each(group, size)]
    if on_error == "raise":
        _raise_first(values)
    return values


def _refuse_running_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(
        "predict is async, and this thread runs an event loop already; "
        "use `async for result in servekit.run_batch(predictor, inputs)` there"
    )


def _takes_batches(predict: Callable[..., Any]) -> bool:
    hints = typing.get_type_hints(predict, include_extras=True)
    return any(unbatch(hints.get(name))[1] for name in inspect.signature(predict).parameters)


# ---------------------------------------------------------------------- one at a time


def _call(predict: Callable[..., Any], inputs: Inputs) -> Any:
    value = predict(**inputs)
    return list(value) if inspect.isgenerator(value) else value


async def _call_async(predict: Callable[..., Any], inputs: Inputs) -> Any:
    value = predict(**inputs)
    return [item async for item in value] if inspect.isasyncgen(value) else await value


# ---------------------------------------------------------------------- in batches


class _Groups:
    """The inputs in groups; notes how large each of them was."""

    def __init__(self, inputs: Iterable[Inputs], size: int) -> None:
        self.sizes: list[int] = []
        self._inputs = inputs
        self._size = size

    def __iter__(self) -> Iterator[list[Inputs]]:
        rest = iter(self._inputs)
        while group := list(islice(rest, self._size)):
            self.sizes.append(len(group))
            yield group


def _call_batch(predict: Callable[..., Any], group: list[Inputs]) -> list[Any]:
    value = predict(**_columns(group))
    if not inspect.isgenerator(value):
        return read_entries(value, len(group), "returned")
    steps = _Steps(len(group))
    for step in value:
        steps.add(step)
    return steps.items


async def _call_batch_async(predict: Callable[..., Any], group: list[Inputs]) -> list[Any]:
    value = predict(**_columns(group))
    if not inspect.isasyncgen(value):
        return read_entries(await value, len(group), "returned")
    steps = _Steps(len(group))
    async for step in value:
        steps.add(step)
    return steps.items


class _Steps:
    """What a batched generator yields, as one list of items for each of the inputs."""

    def __init__(self, size: int) -> None:
        self.items: list[Any] = [[] for _ in range(size)]
        self._open = [True] * size

    def add(self, step: Any) -> None:
        for index, entry in enumerate(read_entries(step, len(self.items), "yielded")):
            if not self._open[index]:
                continue
            if entry is END or isinstance(entry, Exception):
                self._open[index] = False
                self.items[index] = entry if entry is not END else self.items[index]
            else:
                self.items[index].append(entry)


def _columns(group: list[Inputs]) -> dict[str, list[Any]]:
    return {name: [inputs[name] for inputs in group] for name in group[0]}


def _each(group: list[Any] | Exception, size: int) -> list[Any]:
    return [group] * size if isinstance(group, Exception) else group


def _raise_first(values: Iterable[Any]) -> None:
    for value in values:
        if isinstance(value, Exception):
            raise value


_DEFAULT_SIZE: Final = 32
