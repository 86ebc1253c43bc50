"""The OpenAPI document: every route, with the model's real input and output."""

from importlib.metadata import version
from typing import Any

from servekit.runtime.model import Model
from servekit.server.resource import PREDICTIONS, Resource
from servekit.server.schemas import ID_PARAMETER, make_components

__all__ = ["make_openapi"]

_Json = dict[str, Any]


def make_openapi(title: str, model: Model, resource: Resource = PREDICTIONS, *, takes_batches: bool = True) -> _Json:
    """Return the OpenAPI 3.1 document of a served predictor.

    Args:
        title: What the predictor is called.
        model: What it takes and gives.
        resource: What its server runs.
        takes_batches: There is a route for many inputs in one request.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": version("servekit"),
            "description": "A predictor, served by servekit. Every error has the form of `Problem`.",
        },
        "paths": {
            "/": {"get": _get("discover", "Where everything is", _object("Paths by name"))},
            **_describe_resource(resource),
            **({f"{resource.path}/batch": {"post": _create_many(resource)}} if takes_batches else {}),
            "/health-check": {"get": _get("check_health", "The state of the model, in Cog's form", _ref("Health"))},
            "/livez": {"get": _get("check_liveness", "Whether the server's loop turns", _object("Alive"))},
            "/readyz": {"get": _get("check_readiness", "Whether predictions are taken", _object("Ready"), "503")},
            "/metrics": {"get": {"operationId": "get_metrics", "summary": "Metrics for Prometheus", **_metrics()}},
            "/openapi.json": {"get": _get("get_openapi", "This document", _object("OpenAPI 3.1"), "503")},
            "/docs": {"get": {"operationId": "get_docs", "summary": "A page to read this and to try it", **_html()}},
            "/shutdown": {"post": _get("shut_down", "Stop the server (serve.allow_shutdown)", _object("Done"), "403")},
        },
        "components": {"schemas": make_components(model, resource, takes_batches=takes_batches)},
    }


def _describe_resource(resource: Resource) -> _Json:
    noun, path = resource.noun, resource.path
    return {
        path: {
            "get": _list_all(resource),
            "post": _create(resource, f"create_{noun}", f"Run a {noun}"),
        },
        f"{path}/{{id}}": {
            "parameters": [ID_PARAMETER],
            "get": _show(resource),
            "put": _create(resource, f"create_{noun}_once", f"Run a {noun}, once per id", is_once=True),
        },
        f"{path}/{{id}}/cancel": {"parameters": [ID_PARAMETER], "post": _cancel(resource)},
    }


_ERRORS = {
    "400": "The body or a header cannot be read",
    "403": "Not allowed by the spec",
    "404": "There is none of this id",
    "406": "No events are given here",
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


def _create(resource: Resource, name: str, summary: str, *, is_once: bool = False) -> _Json:
    noun, response = resource.noun, _ref(f"{resource.title}Response")
    done = _answer(f"The {noun} has ended; its status says how", response, events=resource.is_streamed)
    running = _answer(f"The {noun} goes on; ask again at `Location`", response)
    errors = [code for code in ("400", "409", "413", "415", "422", "429", "503") if not (is_once and code == "409")]
    parameters = [_header("Prefer", "respond-async, wait=N")]
    text = "Waits for the end. `Prefer: respond-async` does not wait, `Prefer: wait=N` waits N seconds"
    if resource.is_streamed:
        parameters.append(_header("Accept", "text/event-stream"))
        text += ", `Accept: text/event-stream` streams"
    else:
        errors.append("406")
    text += ". A client that goes away cancels, unless it prefers `respond-async`."
    if is_once:
        text += f" A second PUT with the same id gets the same {noun}, whatever its input is."
    return {
        "operationId": name,
        "summary": summary,
        "description": text,
        "parameters": parameters,
        "requestBody": {
            "required": False,
            "content": {
                "application/json": {"schema": _ref(f"{resource.title}Request")},
                "multipart/form-data": {"schema": _ref(f"{resource.prefix}Input")},
            },
        },
        "responses": _responses({"200": done, "202": running}, *errors),
    }


def _create_many(resource: Resource) -> _Json:
    noun, lines = resource.noun, _ref(f"{resource.title}BatchLines")
    done = _answer("A result for each input, however it ended", _ref(f"{resource.title}BatchResponse"), events=True)
    done["content"]["application/jsonl"] = {"schema": lines}
    text = (
        f"Each input is a {noun} of its own, and has one result. The results come in one document, in the order of "
        "the inputs; with `Accept: application/jsonl` or `text/event-stream` each comes when it is there. A request "
        "of JSON Lines, with an input in each line, is answered with JSON Lines. A client that goes away cancels what "
        "runs, and nothing more begins."
    )
    return {
        "operationId": f"create_{noun}_batch",
        "summary": f"Run a {noun} for each of many inputs",
        "description": text,
        "parameters": [_header("Accept", "application/jsonl, text/event-stream")],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": _ref(f"{resource.title}BatchRequest")},
                "application/jsonl": {"schema": lines},
            },
        },
        "responses": _responses({"200": done}, "400", "413", "415", "422", "503"),
    }


def _list_all(resource: Resource) -> _Json:
    def query(name: str, text: str, most: _Json) -> _Json:
        return {"name": name, "in": "query", "description": text, "schema": {"type": "integer", "minimum": 1, **most}}

    listing = _ref(f"{resource.title}List")
    return {
        **_get(f"list_{resource.noun}s", f"{resource.title}s, newest first", listing, "422"),
        "parameters": [
            query("limit", "How many at most", {"maximum": 1000, "default": 100}),
            query("cursor", "Where to go on, from `next`", {}),
        ],
    }


def _show(resource: Resource) -> _Json:
    noun, response = resource.noun, _ref(f"{resource.title}Response")
    success = {
        "200": _answer(f"The {noun} as it is now, or its events", response, events=True),
        "204": {"description": "It has ended and every event was seen (`Last-Event-ID`)"},
    }
    return {
        "operationId": f"get_{noun}",
        "summary": f"Read a {noun}, or attach to its events",
        "parameters": [_header("Accept", "text/event-stream"), _header("Last-Event-ID", "The last event seen")],
        "responses": _responses(success, "400", "404", "422", "429"),
    }


def _cancel(resource: Resource) -> _Json:
    summary = f"Cancel a {resource.noun}; one that has ended stays as it is"
    return _get(f"cancel_{resource.noun}", summary, _ref(f"{resource.title}Response"), "404", "422")


def _header(name: str, text: str) -> _Json:
    return {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}


def _ref(name: str) -> _Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(description: str) -> _Json:
    return {"type": "object", "description": description}
