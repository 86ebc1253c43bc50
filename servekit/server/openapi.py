"""The OpenAPI document: every route, with the model's real input and output."""

from importlib.metadata import version
from typing import Any

from servekit.runtime.model import Model
from servekit.server.schemas import ID_PARAMETER, make_components

__all__ = ["make_openapi"]

_Json = dict[str, Any]


def make_openapi(title: str, model: Model) -> _Json:
    """Return the OpenAPI 3.1 document of a served predictor."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": version("servekit"),
            "description": "A predictor, served by servekit. Every error has the form of `Problem`.",
        },
        "paths": {
            "/": {"get": _get("discover", "Where everything is", _object("Paths by name"))},
            "/predictions": {"get": _list_predictions(), "post": _create("create_prediction", "Run a prediction")},
            "/predictions/{id}": {
                "parameters": [ID_PARAMETER],
                "get": _show(),
                "put": _create("create_prediction_once", "Run a prediction, once per id", is_once=True),
            },
            "/predictions/{id}/cancel": {"parameters": [ID_PARAMETER], "post": _cancel()},
            "/health-check": {"get": _get("check_health", "The state of the model, in Cog's form", _ref("Health"))},
            "/livez": {"get": _get("check_liveness", "Whether the server's loop turns", _object("Alive"))},
            "/readyz": {"get": _get("check_readiness", "Whether predictions are taken", _object("Ready"), "503")},
            "/metrics": {"get": {"operationId": "get_metrics", "summary": "Metrics for Prometheus", **_metrics()}},
            "/openapi.json": {"get": _get("get_openapi", "This document", _object("OpenAPI 3.1"), "503")},
            "/docs": {"get": {"operationId": "get_docs", "summary": "A page to read this and to try it", **_html()}},
            "/shutdown": {"post": _get("shut_down", "Stop the server (serve.allow_shutdown)", _object("Done"), "403")},
        },
        "components": {"schemas": make_components(model)},
    }


_ERRORS = {
    "400": "The body or a header cannot be read",
    "403": "Not allowed by the spec",
    "404": "No such prediction",
    "409": "The id is taken",
    "413": "The body is too large (serve.max_body)",
    "415": "The Content-Type is neither JSON nor a form",
    "422": "The input, or another part of the request, does not fit",
    "429": "The caller has as many as one may (serve.caller.max), or the streams are too many; see `Retry-After`",
    "503": "No worker takes it now; `Retry-After` says when to try again",
}


def _responses(success: _Json, *errors: str) -> _Json:
    return {**success, **{code: _answer(_ERRORS[code], _ref("Problem"), code in ("429", "503")) for code in errors}}


def _answer(description: str, schema: _Json, retries: bool = False, events: bool = False) -> _Json:
    content = {"application/json": {"schema": schema}}
    if events:
        content["text/event-stream"] = {"schema": _ref("Events")}
    answer: _Json = {"description": description, "content": content}
    if retries:
        answer["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}}
    return answer


def _get(name: str, summary: str, schema: _Json, *errors: str) -> _Json:
    return {
        "operationId": name,
        "summary": summary,
        "responses": _responses({"200": _answer(summary, schema)}, *errors),
    }


def _html() -> _Json:
    page = {"description": "A page", "content": {"text/html": {"schema": {"type": "string"}}}}
    return {"responses": {"200": page}}


def _metrics() -> _Json:
    kinds = ("text/plain", "application/openmetrics-text")
    content = {kind: {"schema": {"type": "string"}} for kind in kinds}
    return {"responses": {"200": {"description": "Metrics as text, by `Accept`", "content": content}}}


def _create(name: str, summary: str, *, is_once: bool = False) -> _Json:
    done = _answer("The prediction has ended; its status says how", _ref("PredictionResponse"), events=True)
    running = _answer("The prediction goes on; ask again at `Location`", _ref("PredictionResponse"))
    errors = [code for code in ("400", "409", "413", "415", "422", "429", "503") if not (is_once and code == "409")]
    text = (
        "Waits for the end. `Prefer: respond-async` does not wait, `Prefer: wait=N` waits N seconds, "
        "`Accept: text/event-stream` streams. A client that goes away cancels, unless it prefers `respond-async`."
    )
    if is_once:
        text += " A second PUT with the same id gets the same prediction, whatever its input is."
    return {
        "operationId": name,
        "summary": summary,
        "description": text,
        "parameters": [_header("Prefer", "respond-async, wait=N"), _header("Accept", "text/event-stream")],
        "requestBody": {
            "required": False,
            "content": {
                "application/json": {"schema": _ref("PredictionRequest")},
                "multipart/form-data": {"schema": _ref("Input")},
            },
        },
        "responses": _responses({"200": done, "202": running}, *errors),
    }


def _list_predictions() -> _Json:
    def query(name: str, text: str, most: _Json) -> _Json:
        return {"name": name, "in": "query", "description": text, "schema": {"type": "integer", "minimum": 1, **most}}

    return {
        **_get("list_predictions", "Predictions, newest first", _ref("PredictionList"), "422"),
        "parameters": [
            query("limit", "How many at most", {"maximum": 1000, "default": 100}),
            query("cursor", "Where to go on, from `next`", {}),
        ],
    }


def _show() -> _Json:
    success = {
        "200": _answer("The prediction as it is now, or its events", _ref("PredictionResponse"), events=True),
        "204": {"description": "It has ended and every event was seen (`Last-Event-ID`)"},
    }
    return {
        "operationId": "get_prediction",
        "summary": "Read a prediction, or attach to its events",
        "parameters": [_header("Accept", "text/event-stream"), _header("Last-Event-ID", "The last event seen")],
        "responses": _responses(success, "400", "404", "422", "429"),
    }


def _cancel() -> _Json:
    return _get("cancel_prediction", "Cancel a prediction; one that has ended stays as it is",
                _ref("PredictionResponse"), "404", "422")  # fmt: skip


def _header(name: str, text: str) -> _Json:
    return {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}


def _ref(name: str) -> _Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(description: str) -> _Json:
    return {"type": "object", "description": description}
