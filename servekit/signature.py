"""What a predictor takes and returns, read from its annotations.

`inspect_signature` makes a `Signature` of a function: the JSON Schemas of its input and output, the
decoder from JSON to typed arguments, and the encoder back. The server never needs it; it knows a
predictor by the schemas alone (`servekit.schema`).
"""

import collections.abc
import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, get_args, get_origin

from servekit.annotations import read_hints, show_annotation
from servekit.batching import unbatch
from servekit.encoding import OutputEncoder
from servekit.errors import SignatureError
from servekit.jsonable import INLINE, JsonWriter
from servekit.parameters import InputDecoder, read_parameters, refuse_local_paths
from servekit.problems import Redactor, schema_has
from servekit.reading import OWN, Reading
from servekit.types import AsyncConcatenateIterator, ConcatenateIterator, FileResolver

__all__ = ["Signature", "inspect_signature", "is_stream"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Signature:
    """What a predictor takes and returns.

    Attributes:
        input_schema: JSON Schema (2020-12) of the input object.
        output_schema: JSON Schema of the output; of the list of all items when it streams.
        is_async: Whether `predict` is to be awaited, or iterated with `async for`.
        streams: Whether `predict` yields its output item by item.
        concatenates: Whether the items are chunks of one text.
        uses_files: Whether an input or output is annotated to be a file, so that decoding may block.
        has_secrets: Whether an input or output may hold a secret, at any depth.
        collects_iterators: Whether an iterator that is returned as a value is to be made a list.
        keeps_canceled: Whether a prediction that was asked to stop is canceled though it returns something after all.
        is_batched: Whether a call of `predict` takes and gives a list with one value for each of several predictions.
    """

    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    is_async: bool
    streams: bool
    concatenates: bool
    uses_files: bool
    has_secrets: bool
    collects_iterators: bool
    keeps_canceled: bool
    is_batched: bool
    _decoder: InputDecoder
    _encoder: OutputEncoder

    @property
    def input_names(self) -> list[str]:
        """What the inputs are called, in their order."""
        return self._decoder.names

    def decode_input(self, raw: bytes, files: FileResolver | None = None) -> dict[str, Any]:
        """Turn an input into the arguments for `predict`, with defaults filled in.

        Files are fetched here, so this may block as long as `files` allows.

        Args:
            raw: The input as JSON.
            files: Where files come from; without it an input that names a file is refused.

        Raises:
            InputError: The input does not fit the annotations.
        """
        return self._decoder.decode(raw, files)

    def encode_output(self, value: Any, writer: JsonWriter = INLINE) -> bytes:
        """Return one value, or one item of a stream, as compact JSON.

        Args:
            value: What `predict` gave.
            writer: Says what stands for files.

        Raises:
            OutputError: It does not fit the annotation, or JSON cannot hold it.
        """
        return self._encoder.encode(value, writer)


def inspect_signature(predict: Callable[..., Any], name: str, reading: Reading = OWN) -> Signature:
    """Read the signature of a function, or of a method without its `self`.

    Args:
        predict: Called with all inputs by name.
        name: What to call it in errors, such as "predict.py:Predictor".
        reading: The way of its dialect.

    Raises:
        SignatureError: Something about it cannot be used; the message names it, says why and what works.
    """
    hints, is_batched = _unbatch_hints(read_hints(predict, name), inspect.signature(predict).parameters, name)
    kind = _read_kind(predict, hints, name, reading)
    parameters = read_parameters(predict, hints, name, reading)
    decoder = InputDecoder(parameters, name, drops_unknown=reading.drops_unknown_inputs)
    encoder = OutputEncoder(kind.item, f"{name}: the output", sends_misfits=reading.sends_misfits)
    refuse_local_paths(encoder.schema, f"{name}: the output")
    return Signature(
        input_schema=decoder.schema,
        output_schema=_output_schema(kind, encoder.schema) | reading.output_extensions(predict),
        is_async=kind.is_async,
        streams=kind.streams,
        concatenates=kind.concatenates,
        uses_files=decoder.uses_files or schema_has(encoder.schema, frozenset({"uri"})),
        has_secrets=decoder.has_secrets or Redactor(encoder.schema).has_secrets,
        collects_iterators=reading.collects_iterators,
        keeps_canceled=reading.keeps_canceled,
        is_batched=is_batched,
        _decoder=decoder,
        _encoder=encoder,
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Kind:
    """How a `predict` gives its output; `item` is the annotation of one value of it."""

    item: Any
    is_async: bool
    streams: bool
    concatenates: bool


_CONCATENATING: Final = (ConcatenateIterator, AsyncConcatenateIterator)
_ASYNC: Final = (
    collections.abc.AsyncIterator,
    collections.abc.AsyncIterable,
    collections.abc.AsyncGenerator,
    AsyncConcatenateIterator,
)
_STREAMING: Final = (
    collections.abc.Iterator,
    collections.abc.Iterable,
    collections.abc.Generator,
    ConcatenateIterator,
    *_ASYNC,
)


def is_stream(annotation: Any) -> bool:
    """Whether an output's annotation says that it comes item by item."""
    return (get_origin(annotation) or annotation) in _STREAMING


def _unbatch_hints(
    hints: dict[str, Any], names: Mapping[str, inspect.Parameter], where: str
) -> tuple[dict[str, Any], bool]:
    """Return the annotations as they are for one prediction, and whether `predict` takes batches of them."""
    single = dict(hints)
    batched = [name for name in names if unbatch(hints.get(name))[1]]
    for name in names:
        if name in hints:
            single[name], is_batch = unbatch(hints[name])
            if batched and not is_batch:
                shown = show_annotation(hints[name])
                message = (
                    f"{where}: parameter `{name}` is annotated {shown}, and `{batched[0]}` is a Batch; write "
                    f"`{name}: Batch[{shown}]`, since each prediction of a batch has its own"
                )
                raise SignatureError(message)
    if "return" in hints:
        single["return"], is_batch = _unbatch_output(hints["return"])
        shown = show_annotation(hints["return"])
        if batched and not is_batch and hints["return"] is not Any:
            message = f"{where}: predict takes a Batch, and its output is annotated {shown}; {_BATCH_OUTPUTS}"
            raise SignatureError(message)
        if is_batch and not batched:
            message = f"{where}: its output is {shown}, and no parameter is a Batch; write `text: Batch[str]`"
            raise SignatureError(message)
    return single, bool(batched)


_BATCH_OUTPUTS: Final = (
    "write `-> Batch[str]` for one value for each prediction, or `-> Iterator[Batch[str]]` for steps of them"
)


def _unbatch_output(annotation: Any) -> tuple[Any, bool]:
    """Return the annotation of one prediction's output, whether it comes at once or in steps."""
    arguments = get_args(annotation)
    if not (is_stream(annotation) and arguments):
        return unbatch(annotation)
    item, is_batch = unbatch(arguments[0])
    container: Any = get_origin(annotation)
    return container[(item, *arguments[1:])], is_batch


def _read_kind(predict: Callable[..., Any], hints: Mapping[str, Any], name: str, reading: Reading) -> _Kind:
    try:
        annotation = reading.output(predict, hints.get("return", Any))
    except SignatureError as error:
        message = f"{name}: {error}"
        raise SignatureError(message) from error.__cause__
    container = get_origin(annotation) or annotation
    streams = is_stream(annotation)
    called = predict if inspect.isroutine(predict) else getattr(predict, "__call__", predict)  # noqa: B004 - its function
    is_generator = inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called)
    if is_generator and not streams and annotation is not Any:
        message = (
            f"{name}: predict yields, and its output is annotated {show_annotation(annotation)}; "
            f"write `-> Iterator[{show_annotation(annotation)}]`, or ConcatenateIterator[str] for chunks of text"
        )
        raise SignatureError(message)
    is_async = inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called)
    item = next(iter(get_args(annotation)), Any) if streams else annotation
    concatenates = container in _CONCATENATING
    if concatenates and item not in (str, Any):
        message = f"{name}: only text can be joined: ConcatenateIterator[str], not [{show_annotation(item)}]"
        raise SignatureError(message)
    return _Kind(item, is_async or container in _ASYNC, streams or is_generator, concatenates)


def _output_schema(kind: _Kind, schema: dict[str, Any]) -> dict[str, Any]:
    if not kind.streams:
        return {**schema, "title": "Output"}
    item = dict(schema)
    definitions = item.pop("$defs", None)
    output: dict[str, Any] = {
        "title": "Output",
        "type": "array",
        "items": item,
        "x-servekit-iterator": True,
        "x-cog-array-type": "iterator",
    }
    if kind.concatenates:
        output |= {"x-servekit-display": "concatenate", "x-cog-array-display": "concatenate"}
    if definitions is not None:
        output["$defs"] = definitions
    return output
