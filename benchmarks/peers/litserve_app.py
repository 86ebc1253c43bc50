"""LitServe with its documented API: one worker process per server, uvicorn in front."""

# LitServe is in its own environment, where no checker looks.
# mypy: disable-error-code="import-not-found,misc,unused-ignore"
# pyright: basic, reportMissingImports=false, reportIncompatibleMethodOverride=false

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import litserve

from benchmarks.peers.common import COMPLETED, encode_event, load_predictor, read_options


class SyncAPI(litserve.LitAPI):
    """A sync predictor."""

    def setup(self, device: str) -> None:  # noqa: ARG002 LitServe passes it
        """Load the predictor in the worker."""
        self.predictor = load_predictor()

    def decode_request(self, request: dict[str, Any]) -> dict[str, Any]:
        """Take the input out of the envelope."""
        values: dict[str, Any] = request["input"]
        return values

    def predict(self, values: dict[str, Any]) -> Any:
        """Run the predictor."""
        return self.predictor.predict(**values)

    def encode_response(self, output: Any) -> dict[str, Any]:
        """Put the output into the envelope."""
        return {"status": "succeeded", "output": output}


class SyncStreamAPI(SyncAPI):
    """A sync generator."""

    def predict(self, values: dict[str, Any]) -> Iterator[Any]:
        """Run the predictor."""
        yield from self.predictor.predict(**values)

    def encode_response(self, output: Iterator[Any]):  # type: ignore[no-untyped-def] # noqa: ANN201 FastAPI reads it
        """Write each item as an event."""
        for index, chunk in enumerate(output):
            yield encode_event(chunk, index).decode()
        yield COMPLETED.decode()


class AsyncAPI(SyncAPI):
    """An async predictor."""

    def setup(self, device: str) -> None:
        """Load the predictor in the worker, with as many slots as the scenario allows."""
        super().setup(device)
        limit = read_options().limit
        self.slots = asyncio.Semaphore(limit) if limit else contextlib.nullcontext()

    async def decode_request(self, request: dict[str, Any]) -> dict[str, Any]:  # type: ignore[override] # async twin
        """Take the input out of the envelope."""
        return super().decode_request(request)

    async def predict(self, values: dict[str, Any]) -> Any:
        """Run the predictor."""
        async with self.slots:
            return await self.predictor.predict(**values)

    async def encode_response(self, output: Any) -> dict[str, Any]:  # type: ignore[override] # async twin
        """Put the output into the envelope."""
        return super().encode_response(output)


class AsyncStreamAPI(AsyncAPI):
    """An async generator."""

    async def predict(self, values: dict[str, Any]) -> AsyncIterator[Any]:  # type: ignore[override] # async twin
        """Run the predictor."""
        async for item in self.predictor.predict(**values):
            yield item

    async def encode_response(self, output: AsyncIterator[Any]):  # type: ignore[no-untyped-def] # noqa: ANN201 FastAPI reads it
        """Write each item as an event."""
        index = 0
        async for chunk in output:
            yield encode_event(chunk, index).decode()
            index += 1
        yield COMPLETED.decode()


def main() -> None:
    """Serve the predictor of the current folder."""
    kind = load_predictor()
    classes = {
        (False, False): SyncAPI,
        (False, True): SyncStreamAPI,
        (True, False): AsyncAPI,
        (True, True): AsyncStreamAPI,
    }
    api = classes[kind.is_async, kind.is_stream](
        api_path="/predictions", stream=kind.is_stream, enable_async=kind.is_async
    )
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, timeout=60)
    server.run(
        host="127.0.0.1",
        port=read_options().port,
        num_api_servers=1,
        log_level="warning",
        access_log=False,
        generate_client_file=False,
    )


if __name__ == "__main__":
    main()
