"""FastAPI as its tutorial would have it: a pydantic body, and a StreamingResponse for generators."""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, create_model

from benchmarks.peers.common import COMPLETED, encode_event, load_predictor, read_options

app = FastAPI()
predictor = load_predictor()
options = read_options()

_fields: dict[str, Any] = {
    name: (parameter.annotation, ...) for name, parameter in inspect.signature(predictor.predict).parameters.items()
}
Input = create_model("Input", **_fields)


class Body(BaseModel):
    """The envelope."""

    input: Input  # type: ignore[valid-type] # pyright: ignore[reportInvalidTypeForm] # made at run time

    def values(self) -> dict[str, Any]:
        """Give the checked input."""
        return cast("BaseModel", self.input).model_dump()  # pyright: ignore[reportUnknownMemberType] # as above


def _sync_events(values: dict[str, Any]) -> Iterator[bytes]:
    for index, chunk in enumerate(predictor.predict(**values)):
        yield encode_event(chunk, index)
    yield COMPLETED


async def _async_events(values: dict[str, Any]) -> AsyncIterator[bytes]:
    index = 0
    async for chunk in predictor.predict(**values):
        yield encode_event(chunk, index)
        index += 1
    yield COMPLETED


@app.get("/livez")
async def livez() -> dict[str, str]:
    """Say that the server runs."""
    return {"status": "ok"}


if predictor.is_stream:

    @app.post("/predictions")
    async def stream(body: Body) -> StreamingResponse:
        """Stream a generator."""
        events = _async_events if predictor.is_async else _sync_events
        return StreamingResponse(events(body.values()), media_type="text/event-stream")

elif predictor.is_async:
    _slots = asyncio.Semaphore(options.limit) if options.limit else contextlib.nullcontext()

    @app.post("/predictions")
    async def predict(body: Body) -> dict[str, Any]:
        """Run an async predictor on the loop."""
        async with _slots:
            output = await predictor.predict(**body.values())
        return {"status": "succeeded", "output": output}

else:

    @app.post("/predictions")
    def predict_sync(body: Body) -> dict[str, Any]:
        """Run a sync predictor in the thread pool."""
        return {"status": "succeeded", "output": predictor.predict(**body.values())}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning", access_log=False)
