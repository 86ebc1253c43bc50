"""Build through the engine's API, without a docker client: BuildKit without secrets, or the old builder."""

import base64
import json
import uuid
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import Any, Final, Protocol

import docker.auth
import requests

from servekit.errors import EngineError
from servekit_cli.engine.classic import ClassicReader
from servekit_cli.engine.connection import Engine
from servekit_cli.engine.events import BuildEvent, BuildFailed, ImageBuilt
from servekit_cli.engine.reports import JsonStream
from servekit_cli.engine.request import BuildRequest
from servekit_cli.engine.status import StatusReader
from servekit_cli.engine.tar import list_context, stream_tar
from servekit_cli.engine.trace import decode_trace

__all__ = ["build_by_api"]

_OK: Final = 200
_CANCEL_SECONDS: Final = 2


def build_by_api(engine: Engine, request: BuildRequest) -> Iterator[BuildEvent]:
    """Send the context to the engine and give the build's events; the last one says how it ended.

    Closing the iterator ends the build at once.

    Raises:
        EngineError: The engine went away.
    """
    build_id = uuid.uuid4().hex
    is_over = False
    with engine.faults():
        try:
            response = _post(engine, request, build_id)
            with response:
                yield from _read(engine, response) if response.status_code == _OK else [BuildFailed(_refusal(response))]
            is_over = True
        finally:
            if not is_over:
                _cancel(engine, build_id)


def _post(engine: Engine, request: BuildRequest, build_id: str) -> requests.Response:
    """Start the build. Not by the SDK's own method: that knows no BuildKit and writes a copy of the context."""
    names = list_context(request.context, request.dockerfile)
    return _call(
        engine,
        "build",
        params={**_parameters(engine, request), "buildid": build_id},
        data=stream_tar(request.context, names),
        headers={"Content-Type": "application/x-tar", **_login(engine)},
    )


def _parameters(engine: Engine, request: BuildRequest) -> dict[str, str | list[str]]:
    given = {
        "version": "2" if engine.features.kind == "buildkit" else "",
        "t": list(request.tags),
        "dockerfile": request.dockerfile,
        "labels": json.dumps(dict(request.labels)),
        "buildargs": json.dumps(request.all_build_args),
        "platform": request.platform or "",
        "networkmode": request.network or "",
        "nocache": "1" if request.no_cache else "",
        "pull": "1" if request.pull else "",
        "rm": "1",
        "forcerm": "1",  # the old builder would leave the container of a step that failed
    }
    return {name: value for name, value in given.items() if value}


def _login(engine: Engine) -> dict[str, str]:
    """What the old builder needs to pull private base images; BuildKit takes it from a docker client only."""
    if engine.features.kind != "classic":
        return {}
    config = docker.auth.load_config()  # pyright: ignore[reportUnknownMemberType] - half typed by its stubs
    credentials: object = config.get_all_credentials()  # type: ignore[no-untyped-call] # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - likewise
    return {"X-Registry-Config": base64.urlsafe_b64encode(json.dumps(credentials).encode()).decode()}


def _call(engine: Engine, path: str, **settings: Any) -> requests.Response:
    # A step may be silent for hours: no time-out.
    api = engine.client.api
    return api.post(f"{api.base_url}/v{api.api_version}/{path}", stream=True, **settings)


def _refusal(response: requests.Response) -> str:
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError):
        return f"the engine answered {response.status_code}: {response.text}"


def _cancel(engine: Engine, build_id: str) -> None:
    """End a build; closing its connection does as well, but some time later."""
    with suppress(requests.RequestException):  # gone, and the build with it
        _call(engine, "build/cancel", params={"id": build_id}, timeout=_CANCEL_SECONDS).close()


class _Reader(Protocol):
    def read(self, message: dict[str, Any]) -> Iterator[BuildEvent]: ...


def _read(engine: Engine, response: requests.Response) -> Generator[BuildEvent]:
    reader: _Reader = _BuildKitReader() if engine.features.kind == "buildkit" else ClassicReader()
    stream = JsonStream()
    image_id = ""
    for piece in response.iter_content(chunk_size=None):
        for message in stream.feed(piece.decode(errors="replace")):
            yield from reader.read(message)
            if "error" in message:
                yield BuildFailed(str(message["error"]).strip())
                return
            image_id = _image_id(message) or image_id
    if not image_id:
        raise EngineError(f"The engine at {engine.endpoint.host} ended the build without a word. Try again.")
    yield ImageBuilt(image_id)


def _image_id(message: dict[str, Any]) -> str:
    aux: dict[str, Any] | str = message.get("aux") or ""  # a text with BuildKit's reports
    return "" if isinstance(aux, str) else str(aux.get("ID", ""))


class _BuildKitReader:
    def __init__(self) -> None:
        self._statuses = StatusReader()

    def read(self, message: dict[str, Any]) -> Iterator[BuildEvent]:
        if message.get("id") == "moby.buildkit.trace":
            yield from self._statuses.read(decode_trace(base64.b64decode(message["aux"])))
