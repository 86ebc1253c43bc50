"""What the peers share: the predictor of the current folder, the envelope and the event frames."""

import argparse
import importlib.util
import inspect
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["COMPLETED", "Options", "Predictor", "encode_event", "load_predictor", "read_options"]

COMPLETED = b'event: completed\ndata: {"status":"succeeded"}\n\n'


@dataclass(frozen=True)
class Options:
    """Attributes: port: Where to listen. limit: How many predictions at once, or None for any number."""

    port: int
    limit: int | None


def read_options() -> Options:
    """Read the command line, and the limit that the scenario sets."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    limit = os.environ.get("BENCHMARK_LIMIT")
    return Options(port=parser.parse_args().port, limit=int(limit) if limit else None)


@dataclass(frozen=True)
class Predictor:
    """Attributes: predict: The bound method. is_async, is_stream: Which of the four kinds it is."""

    predict: Any
    is_async: bool
    is_stream: bool


def load_predictor(folder: Path | None = None) -> Predictor:
    """Load `predict.py:Predictor` from a folder, by default the current one."""
    spec = importlib.util.spec_from_file_location("predict", (folder or Path.cwd()) / "predict.py")
    if spec is None or spec.loader is None:
        raise SystemExit("There is no predict.py in the current folder.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    predict = module.Predictor().predict
    is_async_stream = inspect.isasyncgenfunction(predict)
    return Predictor(
        predict=predict,
        is_async=is_async_stream or inspect.iscoroutinefunction(predict),
        is_stream=is_async_stream or inspect.isgeneratorfunction(predict),
    )


def encode_event(chunk: object, index: int) -> bytes:
    """Encode one item of a stream as an event."""
    return f'event: output\ndata: {{"chunk":{json.dumps(chunk)},"index":{index}}}\n\n'.encode()
