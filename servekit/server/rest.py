"""The FastAPI application behind the hot path: discovery, documentation, shutdown, and every unknown path."""

from importlib.metadata import version
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import HTMLResponse

from servekit.errors import NotReadyError, ServekitError
from servekit.runtime.model import Model
from servekit.server.cog_openapi import make_cog_openapi
from servekit.server.controls import Controls
from servekit.server.openapi import make_openapi
from servekit.server.pages import render_docs
from servekit.server.problems import Refusal, refuse_error
from servekit.server.service import Service

__all__ = ["make_rest"]


def make_rest(service: Service, controls: Controls) -> FastAPI:
    """Return the application.

    Args:
        service: What is served.
        controls: What clients may be allowed to do to the server itself.
    """
    # The documents are our own: FastAPI's know nothing of the model, and its page needs the internet.
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.add_exception_handler(Refusal, _answer_refusal)
    app.add_exception_handler(ServekitError, _answer_error)
    app.add_exception_handler(StarletteHTTPException, _answer_http_error)
    _add_documents(app, service)
    _add_controls(app, service, controls)
    return app


def _add_documents(app: FastAPI, service: Service) -> None:
    documents = _Documents(service)

    @app.get("/")
    async def discover() -> Response:  # pyright: ignore[reportUnusedFunction] - FastAPI calls it
        return _json(200, _DISCOVERY | {"servekit_version": version("servekit"), "name": service.title})

    @app.get("/openapi.json")
    async def show_openapi() -> Response:  # pyright: ignore[reportUnusedFunction] - FastAPI calls it
        return Response(documents.openapi(), media_type="application/json")

    @app.get("/docs")
    async def show_docs() -> Response:  # pyright: ignore[reportUnusedFunction] - FastAPI calls it
        return HTMLResponse(render_docs(service.title))


def _add_controls(app: FastAPI, service: Service, controls: Controls) -> None:
    @app.post("/shutdown")
    async def stop() -> Response:  # pyright: ignore[reportUnusedFunction] - FastAPI calls it
        if not service.serve.allow_shutdown:
            raise Refusal(403, "POST /shutdown is switched off; set serve.allow_shutdown, or send the process SIGTERM")
        controls.shut_down()
        return _json(200, {})

    @app.post("/admin/reload")
    async def reload() -> Response:  # pyright: ignore[reportUnusedFunction] - FastAPI calls it
        if not service.serve.allow_reload:
            raise Refusal(403, "POST /admin/reload is switched off; set serve.allow_reload, or send the process SIGHUP")
        try:
            await controls.reload("POST /admin/reload asks for it")
        except NotReadyError:
            raise
        except ServekitError as error:
            rest = "the old code goes on" if service.pool.is_ready else "no worker is ready"
            raise Refusal(500, f"not reloaded, {rest}: {error}") from error
        return _json(200, {"status": "reloaded"})


class _Documents:
    """The OpenAPI document, written once for each state of the code."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._make = make_cog_openapi if service.spec.dialect == "cog" else make_openapi
        self._model: Model | None = None
        self._openapi = b""

    def openapi(self) -> bytes:
        model = self._service.model
        if model is not self._model:
            self._openapi = msgspec.json.encode(self._make(self._service.title, model))
            self._model = model
        return self._openapi


_DISCOVERY = {
    "docs_url": "/docs",
    "openapi_url": "/openapi.json",
    "shutdown_url": "/shutdown",
    "reload_url": "/admin/reload",
    "healthcheck_url": "/health-check",
    "predictions_url": "/predictions",
    "predictions_idempotent_url": "/predictions/{prediction_id}",
    "predictions_cancel_url": "/predictions/{prediction_id}/cancel",
    "liveness_url": "/livez",
    "readiness_url": "/readyz",
    "metrics_url": "/metrics",
}


async def _answer_refusal(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return _refuse(error)


async def _answer_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ServekitError)
    return _refuse(refuse_error(error))


async def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    headers = [(name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items()]
    match error.status_code:
        case 404:
            detail = f"there is nothing at {request.url.path}; GET / names what there is"
        case 405:
            detail = (
                f"{request.method} is not possible here; possible are {(error.headers or {}).get('Allow', 'others')}"
            )
        case _:
            detail = str(error.detail)
    return _refuse(Refusal(error.status_code, detail, *headers))


def _refuse(refusal: Refusal) -> Response:
    headers = {name.decode(): value.decode() for name, value in refusal.headers}
    return Response(refusal.body(), refusal.status, headers, media_type="application/json")


def _json(status: int, value: Any) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
