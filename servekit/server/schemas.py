"""The schemas of the OpenAPI document: the model's own, and those of what stands around them."""

from typing import Any

from servekit.runtime.model import Model
from servekit.runtime.prediction import Status
from servekit.runtime.terms import HIGHEST_PRIORITY, LOWEST_PRIORITY
from servekit.server.batch.envelope import DEFAULT_PRIORITY
from servekit.server.resource import PREDICTIONS, Resource
from servekit.server.state import State
from servekit.server.webhooks.subscription import MAX_URL, WebhookEvent

__all__ = ["ID_PARAMETER", "make_components"]

_Json = dict[str, Any]

_ID: _Json = {"type": "string", "pattern": "^[A-Za-z0-9._~:=+@,-]{1,128}$"}
_TIME: _Json = {"type": "string", "format": "date-time"}
_MAYBE_TIME: _Json = {"anyOf": [_TIME, {"type": "null"}]}
_MAYBE_TEXT: _Json = {"type": ["string", "null"]}

ID_PARAMETER: _Json = {"name": "id", "in": "path", "required": True, "schema": _ID}


def make_components(model: Model, resource: Resource = PREDICTIONS, *, takes_batches: bool = True) -> _Json:
    """Return the schemas by name.

    Args:
        model: What a predictor takes and gives.
        resource: What its server runs.
        takes_batches: There is a route for many inputs in one request.
    """
    schemas: _Json = {}
    for name, schema in (("Input", model.input_schema), ("Output", model.output_schema)):
        full_name = resource.prefix + name
        schemas[full_name] = _hoist(full_name, schema, schemas)
    if model.settings_schema is not None:
        schemas["Settings"] = _hoist("Settings", model.settings_schema, schemas)
    response = f"{resource.title}Response"
    schemas |= {
        "Status": {"type": "string", "enum": [status.value for status in Status]},
        f"{resource.title}Request": _request(resource, has_settings=model.settings_schema is not None),
        response: _prediction(resource),
        f"{resource.title}List": _list(resource),
        "Events": {"type": "string", "description": _EVENTS.format(response=response)},
        "Health": _health(),
        "Problem": _problem(),
    }
    if takes_batches:
        schemas |= _batches(resource, schemas[f"{resource.title}Request"])
    return schemas


_EVENTS = (
    "Server-sent events, each with `id`: `start` {{id, status}}, `output` {{chunk, index}}, `log` {{source, data}}, "
    "`metric` {{name, value, mode}}, `completed` (a {response}), `error` {{error}}."
)


def _hoist(name: str, schema: _Json, schemas: _Json) -> _Json:
    """Put a schema's own definitions beside it: a reference goes out from the root of the whole document."""
    definitions: _Json = schema.get("$defs", {})
    renamed = {each: f"{name}_{each}" for each in definitions}
    for each, definition in definitions.items():
        schemas[renamed[each]] = _rename(definition, renamed)
    rest = {key: value for key, value in schema.items() if key not in ("$defs", "$schema")}
    renewed: _Json = _rename(rest, renamed)
    return renewed


def _rename(node: Any, renamed: dict[str, str]) -> Any:
    if isinstance(node, list):
        return [_rename(each, renamed) for each in node]  # pyright: ignore[reportUnknownVariableType] - any JSON
    if not isinstance(node, dict):
        return node
    copy: _Json = {key: _rename(value, renamed) for key, value in node.items()}  # pyright: ignore[reportUnknownVariableType] - any JSON
    target = copy.get("$ref")
    if isinstance(target, str) and target.startswith("#/$defs/"):
        copy["$ref"] = f"#/components/schemas/{renamed[target.removeprefix('#/$defs/')]}"
    return copy


def _context(*, has_settings: bool) -> _Json:
    context: _Json = {"type": ["object", "null"], "description": "Free keys and values for the predictor"}
    if has_settings:
        settings = {"anyOf": [{"$ref": "#/components/schemas/Settings"}, {"type": "null"}]}
        context |= {
            "description": "Free keys and values for the predictor; `settings` are those that this request overrides",
            "properties": {"settings": settings},
        }
    return context


def _request(resource: Resource, *, has_settings: bool) -> _Json:
    return {
        "type": "object",
        "properties": {
            "input": {"$ref": f"#/components/schemas/{resource.prefix}Input"},
            "id": {**_ID, "description": "Made up by the server if left out"},
            "context": _context(has_settings=has_settings),
            "priority": {
                "type": ["integer", "null"],
                "minimum": LOWEST_PRIORITY,
                "maximum": HIGHEST_PRIORITY,
                "default": 0,
                "description": "Of those that wait for a slot the higher goes first",
            },
            "timeout": _duration("How long it may take, waiting included; serve.timeout counts if it is shorter"),
            "queue_timeout": _duration("How long it may wait; serve.queue.timeout counts if it is shorter"),
            "webhook": {
                "type": ["string", "null"],
                "format": "uri",
                "maxLength": MAX_URL,
                "description": f"Is sent the {resource.noun} when something happens to it",
            },
            "webhook_events_filter": {
                "type": ["array", "null"],
                "items": {"enum": [event.value for event in WebhookEvent]},
                "description": "Of what the webhook is told; of everything if left out, of nothing if empty",
            },
        },
    }


def _batches(resource: Resource, request: _Json) -> _Json:
    """Return the schemas of requests with many inputs, and of their results, given that of a request with one."""
    single = request["properties"]
    shared = {name: single[name] for name in ("context", "priority", "timeout", "queue_timeout")}
    shared["priority"] = {**shared["priority"], "default": DEFAULT_PRIORITY}
    shared["timeout"] = _duration("How long all of them may take, waiting included")
    shared["queue_timeout"] = _duration(
        "How long none of them may have a slot; serve.queue.timeout counts if it is shorter"
    )
    inputs = {"type": "array", "items": {"$ref": f"#/components/schemas/{resource.prefix}Input"}}
    problems = _problem()["properties"]["detail"]["anyOf"][1]
    made = _prediction(resource)["properties"]
    result = {
        **made,
        "index": {"type": "integer", "description": "Which input it is of, from 0"},
        "id": {"anyOf": [_ID, {"type": "null"}], "description": "Null where nothing was run"},
        "detail": {**problems, "description": "What is wrong with an input that does not fit"},
    }
    results = {"type": "array", "items": {"$ref": f"#/components/schemas/{resource.title}BatchResult"}}
    return {
        f"{resource.title}BatchRequest": {
            "type": "object",
            "properties": {"inputs": inputs, **shared},
            "required": ["inputs"],
            "additionalProperties": False,
        },
        f"{resource.title}BatchResult": {
            "type": "object",
            "properties": result,
            "required": ["index", "id", "status", "output", "error"],
        },
        f"{resource.title}BatchResponse": {
            "type": "object",
            "properties": {"results": results},
            "required": ["results"],
        },
        f"{resource.title}BatchLines": {
            "type": "string",
            "description": "JSON Lines: an input in each line of a request, and in each line of an answer a "
            f"{resource.title}BatchResult.",
        },
    }


def _duration(description: str) -> _Json:
    seconds: _Json = {"type": "number", "exclusiveMinimum": 0}
    text: _Json = {"type": "string", "examples": ["500ms", "30s", "10m"]}
    return {"anyOf": [seconds, text, {"type": "null"}], "description": description}


def _prediction(resource: Resource) -> _Json:
    properties: _Json = {
        "id": _ID,
        "status": {"$ref": "#/components/schemas/Status"},
        "input": {"$ref": f"#/components/schemas/{resource.prefix}Input"},
        "output": {"anyOf": [{"$ref": f"#/components/schemas/{resource.prefix}Output"}, {"type": "null"}]},
        "error": _MAYBE_TEXT,
        "logs": {"type": "string"},
        "metrics": {
            "type": "object",
            "description": "In seconds, and whatever the model records",
        },
        "created_at": _TIME,
        "started_at": _MAYBE_TIME,
        "completed_at": _MAYBE_TIME,
    }
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(resource: Resource) -> _Json:
    whole = _prediction(resource)["properties"]
    summary = {name: value for name, value in whole.items() if name not in ("input", "output", "logs")}
    results = {"type": "array", "items": {"type": "object", "properties": summary, "required": list(summary)}}
    return {"type": "object", "properties": {"results": results, "next": _MAYBE_TEXT}, "required": ["results", "next"]}


def _health() -> _Json:
    setup: _Json = {
        "started_at": _TIME,
        "completed_at": _MAYBE_TIME,
        "status": {"enum": ["starting", "succeeded", "failed"]},
        "logs": {"type": "string"},
    }
    properties: _Json = {
        "status": {"enum": [state.value for state in State]},
        "setup": {"type": "object", "properties": setup},
        "version": {"type": "object"},
        "user_healthcheck_error": {"type": "string"},
    }
    return {"type": "object", "properties": properties, "required": ["status", "setup", "version"]}


def _problem() -> _Json:
    entry = {
        "type": "object",
        "properties": {
            "loc": {
                "type": "array",
                "items": {"type": ["string", "integer"]},
                "description": "Where",
            },
            "msg": {"type": "string", "description": "What is wrong, and what was expected"},
            "type": {"type": "string", "description": "A stable word for programs"},
            "value": {"description": "What was given, shortened"},
        },
        "required": ["loc", "msg", "type"],
    }
    return {
        "type": "object",
        "properties": {"detail": {"anyOf": [{"type": "string"}, {"type": "array", "items": entry}]}},
        "required": ["detail"],
    }
