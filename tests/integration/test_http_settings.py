"""A request overrides settings over HTTP: what is let through, what is refused, and what the documents say."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from serving import StartServer

CODE = """
    import time

    import servekit
    from servekit import Setting, current_scope, settings

    class Tuning(servekit.Settings):
        temperature: float = Setting(0.7, ge=0, le=2, overridable=True, description="How free")
        device: str = "cpu"

    class Predictor:
        def predict(self, hold: bool = False) -> list:
            while hold:
                time.sleep(0.001)
            return [settings.temperature, settings.device, current_scope().context.get("tenant")]
"""


@pytest.fixture(scope="module")
def client(start_server: StartServer) -> Iterator[httpx.Client]:
    with start_server(CODE, "--set=device=gpu", queue={"max": 0}).client() as client:
        yield client


def post(client: httpx.Client, context: object) -> tuple[int, Any]:
    answer = client.post("/predictions", json={"input": {}, "context": context})
    body = answer.json()
    return answer.status_code, body["output"] if answer.status_code == 200 else body["detail"]


def test_a_request_overrides_a_setting_beside_free_keys(client: httpx.Client) -> None:
    answer = post(client, {"settings": {"temperature": 0.2}, "tenant": "acme"})

    assert answer == (200, [0.2, "gpu", "acme"])


@pytest.mark.parametrize("context", [None, {}, {"settings": None}, {"settings": {}}])
def test_a_request_that_overrides_nothing_gets_what_is_configured(client: httpx.Client, context: object) -> None:
    assert post(client, context) == (200, [0.7, "gpu", None])


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            {"temperature": "hot"},
            {"loc": ["temperature"], "msg": 'expected a number, got "hot"', "type": "type", "value": "hot"},
        ),
        ({"temperature": 3}, {"loc": ["temperature"], "msg": "expected at most 2, got 3", "type": "range", "value": 3}),
        (
            {"temprature": 1},
            {"loc": ["temprature"], "msg": 'unknown name; did you mean "temperature"?', "type": "unknown", "value": 1},
        ),
        (
            {"device": "cpu"},
            {"loc": ["device"], "msg": 'the setting "device" cannot be overridden by a request', "type": "fixed"},
        ),
        ("hot", {"loc": [], "msg": 'expected an object, got "hot"', "type": "type", "value": "hot"}),
    ],
)
def test_an_override_that_does_not_fit_is_refused_like_an_input(
    client: httpx.Client, settings: object, problem: dict[str, Any]
) -> None:
    loc = ["body", "context", "settings", *problem["loc"]]

    answer = post(client, {"settings": settings})

    assert answer == (422, [{**problem, "loc": loc}])


def test_an_override_that_does_not_fit_is_refused_before_it_takes_a_slot(client: httpx.Client) -> None:
    held = client.put("/predictions/held", json={"input": {"hold": True}}, headers={"prefer": "respond-async"})
    try:
        statuses = [post(client, {"settings": {"temperature": each}})[0] for each in (3, 1)]
    finally:
        client.post("/predictions/held/cancel")
        client.put("/predictions/held", json={"id": "held"})  # waits for its end

    assert (held.status_code, statuses) == (202, [422, 503])


@pytest.mark.parametrize(("temperature", "expected"), [(0.2, (200, [0.2, 0.2])), (3, (422, None))])
def test_many_inputs_in_one_request_override_alike(client: httpx.Client, temperature: float, expected: object) -> None:
    body: dict[str, object] = {"inputs": [{}, {}], "context": {"settings": {"temperature": temperature}}, "timeout": 30}

    answer = client.post("/predictions/batch", json=body)

    outputs = [result["output"][0] for result in answer.json().get("results", [])] or None
    assert (answer.status_code, outputs) == expected


def test_the_openapi_document_shows_what_may_be_overridden(client: httpx.Client) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]

    context = schemas["PredictionRequest"]["properties"]["context"]
    assert context["properties"]["settings"]["anyOf"][0] == {"$ref": "#/components/schemas/Settings"}
    shown = schemas["Settings"]["properties"]["temperature"]
    assert {name: shown[name] for name in ("type", "minimum", "maximum", "description")} == {
        "type": "number",
        "minimum": 0,
        "maximum": 2,
        "description": "How free",
    }
