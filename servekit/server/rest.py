"""The FastAPI application behind the hot path: discovery, documentation, shutdown, and every unknown path."""

from importlib.metadata import version
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import HTMLResponse

from servekit.errors import NotReadyError, ServekitError
from servekit.runtime.model import Model
from servekit.server.contract import Contract
from servekit.server.controls import Controls
from servekit.server.pages import render_docs
from servekit.server.problems import Refusal, refuse_error
from servekit.server.resource import PREDICTIONS, TRAININGS, Resource
from servekit.server.service import Service

__all__ = ["make_rest"]

_READING = ["GET", "HEAD"]


def make_rest(service: Service, controls: Controls) -> FastAPI:
    """Return the application.

    Args:
        service: What is served.
        controls: What clients may be allowed to do to the server itself.
    """
    # The documents are our own: FastAPI's know nothing of the model, and its page needs the internet.
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    errors = _Errors(service.contract)
    app.add_exception_handler(Refusal, errors.answer_refusal)
    app.add_exception_handler(ServekitError, errors.answer_error)
    app.add_exception_handler(StarletteHTTPException, errors.answer_http_error)
    _add_documents(app, service)
    _add_controls(app, service, controls)
    if service.spec.dialect == "cog":
        _add_signpost(app, service)
    return app


def _add_documents(app: FastAPI, service: Service) -> None:
    documents = _Documents(service)

    @app.api_route("/", methods=_READING)
    async def discover() -> Response:  # pyright: ignore[reportUnusedFunction] - FastAPI calls it
        own = {"servekit_version": version("servekit"), "name": service.title}
        contract = service.contract
        paths = _name_paths(contract.resource, takes_batches=contract.takes_batches)
        return _json(200, _DISCOVERY | paths | own | contract.discover())

    @app.api_route("/openapi.json", methods=_READING)
    async def show_openapi() -> Response:  # pyright: ignore[reportUnusedFunction] - FastAPI calls it
        return Response(documents.openapi(), media_type="application/json")

    @app.api_route("/docs", methods=_READING)
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


def _add_signpost(app: FastAPI, service: Service) -> None:
    """Tell clients of Cog, whose servers have both paths and run predictions at either, what runs here."""
    here = service.contract.resource
    other = PREDICTIONS if here is TRAININGS else TRAININGS
    mode = "predict" if here is TRAININGS else "train"
    switch = "--no-train" if here is TRAININGS else "--train"
    detail = (
        f"this server runs {here.noun}s, at {here.path}, and no {other.noun}s; start one for those: "
        f"servekit serve {switch}, or python -m cog.server.http --x-mode {mode}"
    )

    async def refuse(_request: Request) -> Response:
        raise Refusal(404, detail)

    for path in (other.path, f"{other.path}/{{rest:path}}"):
        app.add_route(path, refuse, methods=["DELETE", "GET", "PATCH", "POST", "PUT"])


class _Documents:
    """The OpenAPI document, written once for each state of the code."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._make = service.contract.make_openapi
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
    "liveness_url": "/livez",
    "readiness_url": "/readyz",
    "metrics_url": "/metrics",
}


def _name_paths(resource: Resource, *, takes_batches: bool) -> dict[str, str]:
    noun, path = resource.noun, resource.path
    batches = {f"{noun}s_batch_url": f"{path}/batch"} if takes_batches else {}
    return batches | {
        f"{noun}s_url": path,
        f"{noun}s_idempotent_url": f"{path}/{{{noun}_id}}",
        f"{noun}s_cancel_url": f"{path}/{{{noun}_id}}/cancel",
    }


class _Errors:
    """Answers errors in the words of a contract."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract

    async def answer_refusal(self, _request: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        return self._answer(error)

    async def answer_error(self, _request: Request, error: Exception) -> Response:
        assert isinstance(error, ServekitError)
        return self._answer(refuse_error(error))

    async def answer_http_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, StarletteHTTPException)
        return self._answer(_explain_http_error(request, error))

    def _answer(self, refusal: Refusal) -> Response:
        told = self._contract.refuse(refusal)
        headers = {name.decode(): value.decode() for name, value in told.headers}
        return Response(told.body(), told.status, headers, media_type="application/json")


def _explain_http_error(request: Request, error: StarletteHTTPException) -> Refusal:
    headers = [(name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items()]
    match error.status_code:
        case 404:
            detail = f"there is nothing at {request.url.path}; GET / names what there is"
        case 405:
            allowed = ", ".join(sorted((error.headers or {}).get("Allow", "others").split(", ")))
            return Refusal.wrong_method(request.method, allowed)
        case _:
            detail = str(error.detail)
    return Refusal(error.status_code, detail, *headers)


def _json(status: int, value: Any) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
