"""`python -m servekit.server.describe`: what is in an image, as one JSON object on stdout.

A build runs it in a throw-away container without network. The predictor is imported, in a worker as
always, and its setup is not run; whatever it prints goes to stderr.
"""

import argparse
import asyncio
import json
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import servekit
from servekit.errors import ServekitError
from servekit.runtime.handle import WorkerHandle
from servekit.runtime.model import Model
from servekit.runtime.observer import PoolObserver
from servekit.runtime.pool import Pool
from servekit.server.packages import list_packages, list_system_packages, read_distribution
from servekit.spec import Range, Spec, load_spec

__all__ = ["describe", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Describe a spec and where it runs, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m servekit.server.describe", description=describe.__doc__)
    parser.add_argument("--spec", type=Path, default=Path(), help="The spec file, or the folder that holds it.")
    try:
        description = describe(load_spec(parser.parse_args(arguments).spec))
    except ServekitError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(json.dumps(description, ensure_ascii=False) + "\n")
    return 0


def describe(spec: Spec) -> dict[str, Any]:
    """Say what a predictor takes and gives, and what is installed around it.

    Raises:
        PredictorError: The spec names something that is not there or is no predictor.
        SetupError: The predictor's module could not be imported; its traceback is in the message.
    """
    schema = _describe_model(asyncio.run(_load(spec)))
    if spec.mode == "predict" and spec.trainer is not None:
        schema["training"] = _describe_model(asyncio.run(_load(spec.for_mode("train"))))
    return {
        "schema": schema,
        "servekit": servekit.__version__,
        "python": platform.python_version(),
        "packages": list_packages(),
        "distribution": read_distribution(),
        "system_packages": list_system_packages(),
    }


def _describe_model(model: Model) -> dict[str, Any]:
    return {
        "input": model.input_schema,
        "output": model.output_schema,
        "is_async": model.is_async,
        "streams": model.streams,
        "concatenates": model.concatenates,
        "uses_files": model.uses_files,
        "has_secrets": model.has_secrets,
        "has_healthcheck": model.has_healthcheck,
    }


async def _load(spec: Spec) -> Model:
    serve = spec.serve.model_copy(update={"workers": Range(1, 1), "gpus_per_worker": None, "isolation": "process"})
    pool = Pool(spec.model_copy(update={"serve": serve}), python=sys.executable, observer=_Observer())
    try:
        await pool.start()
        return await pool.loaded()
    finally:
        await pool.close(0)


class _Observer(PoolObserver):
    def worker_output(self, worker: WorkerHandle, source: str, text: str) -> None:  # noqa: ARG002 - the interface
        sys.stderr.write(text)


if __name__ == "__main__":
    sys.exit(main())
