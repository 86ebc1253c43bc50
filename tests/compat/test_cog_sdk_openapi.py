"""What Cog's clients read in /openapi.json."""

import json
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest

from servekit.runtime.model import Model
from servekit.server.cog_openapi import make_cog_openapi
from servekit.signature import Signature

Read = Callable[..., Signature]


def document(signature: Signature) -> dict[str, Any]:
    model = Model(
        signature.input_schema,
        signature.output_schema,
        is_async=False,
        streams=signature.streams,
        concatenates=signature.concatenates,
        uses_files=signature.uses_files,
        has_secrets=signature.has_secrets,
        has_healthcheck=False,
    )
    return make_cog_openapi("model", model)


def schemas(signature: Signature) -> dict[str, Any]:
    return dict(document(signature)["components"]["schemas"])


def test_the_document_is_of_openapi_3_0_and_has_what_clients_look_for(read_runner: Read) -> None:
    made = document(read_runner("x: int"))

    assert made["openapi"] == "3.0.2"
    assert {"Input", "Output", "PredictionRequest", "PredictionResponse", "Status"} <= made["components"][
        "schemas"
    ].keys()
    assert {"/", "/health-check", "/predictions"} <= made["paths"].keys()
    request = made["components"]["schemas"]["PredictionRequest"]
    assert request["properties"]["input"] == {"$ref": "#/components/schemas/Input"}


def test_nothing_in_the_document_is_of_a_later_openapi(read_runner: Read) -> None:
    text = json.dumps(document(read_runner("x: Optional[int], y: tuple[int, str], z: Tree", "Optional[Tree]")))

    for later in ('"null"', '"type": [', '"$defs', '"prefixItems"', '"const"', "x-servekit"):
        assert later not in text


PROPERTIES = {
    "x: int": '{"title":"X","type":"integer","x-order":0}',
    "max_tokens: int = 5": '{"default":5,"title":"Max Tokens","type":"integer","x-order":0}',
    "data: dict[str, Any]": '{"title":"Data","type":"object","x-order":0}',
    "data: Dict": '{"title":"Data","type":"object","x-order":0}',
    "data: Any": '{"title":"Data","type":"object","x-order":0}',
    "items: List[Dict[str, Any]]": '{"items":{"type":"object"},"title":"Items","type":"array","x-order":0}',
    "items: list[dict] | None = None": (
        '{"default":null,"items":{"type":"object"},"nullable":true,"title":"Items","type":"array","x-order":0}'
    ),
    "image: Path": '{"format":"uri","title":"Image","type":"string","x-order":0}',
    "image: Path = Input(accept='image/*')": (
        '{"format":"uri","title":"Image","type":"string","x-cog-accept":"image/*","x-order":0}'
    ),
    "key: Secret": (
        '{"format":"password","title":"Key","type":"string","writeOnly":true,"x-cog-secret":true,"x-order":0}'
    ),
    "key: Secret = None": (
        '{"default":null,"format":"password","nullable":true,"title":"Key","type":"string","writeOnly":true,'
        '"x-cog-secret":true,"x-order":0}'
    ),
    "n: int = Input(description='d', ge=1, le=9, deprecated=True, default=2)": (
        '{"default":2,"deprecated":true,"description":"d","maximum":9,"minimum":1,"title":"N","type":"integer",'
        '"x-order":0}'
    ),
    "s: str = Input(min_length=1, max_length=2, regex='a')": (
        '{"maxLength":2,"minLength":1,"pattern":"a","title":"S","type":"string","x-order":0}'
    ),
    "v: str | float": '{"anyOf":[{"type":"string"},{"type":"number"}],"title":"V","x-order":0}',
    "v: str | float | None": (
        '{"anyOf":[{"nullable":true,"type":"string"},{"nullable":true,"type":"number"}],"default":null,'
        '"nullable":true,"title":"V","x-order":0}'
    ),
    "p: Annotated[Foreign, Opaque]": '{"title":"P","type":"object","x-order":0}',
    "p: Annotated[List[Foreign], Opaque]": '{"items":{"type":"object"},"title":"P","type":"array","x-order":0}',
    "m: str = Input(choices=['a', 'b'])": '{"allOf":[{"$ref":"#/components/schemas/m"}],"x-order":0}',
    "m: Optional[str] = Input(choices=['a', 'b'], description='d')": (
        '{"allOf":[{"$ref":"#/components/schemas/m"}],"default":null,"description":"d","nullable":true,"x-order":0}'
    ),
    "m: Literal['a', 'b'] = 'a'": '{"allOf":[{"$ref":"#/components/schemas/m"}],"default":"a","x-order":0}',
}


@pytest.mark.parametrize("declaration", PROPERTIES)
def test_an_input_is_described_as_cog_describes_it(read_runner: Read, declaration: str) -> None:
    (described,) = schemas(read_runner(declaration))["Input"]["properties"].values()

    assert json.dumps(described, separators=(",", ":")) == PROPERTIES[declaration]


def test_choices_are_a_schema_with_the_name_of_their_input(read_runner: Read) -> None:
    made = schemas(read_runner("mode: str = Input(choices=['fast', 'balanced', 'quality'])"))

    assert json.dumps(made["mode"], separators=(",", ":")) == (
        '{"description":"An enumeration.","enum":["fast","balanced","quality"],"title":"mode","type":"string"}'
    )


def test_choices_of_an_input_called_like_another_schema_leave_that_alone(read_runner: Read) -> None:
    made = schemas(read_runner("Output: int = Input(choices=[1, 2])", "str"))

    assert made["Input"]["properties"]["Output"]["allOf"] == [{"$ref": "#/components/schemas/Output_choices"}]
    assert (made["Output"]["type"], made["Output_choices"]["type"]) == ("string", "integer")


def test_inputs_stand_in_their_order_and_the_required_ones_are_listed(read_runner: Read) -> None:
    parameters = (
        "prompt: str, api_key: Secret = Input(default=None), token: Secret = Input(), seed: int = Input(default=None)"
    )

    made = schemas(read_runner(parameters))["Input"]

    assert list(made["properties"]) == ["prompt", "api_key", "token", "seed"]
    assert [each["x-order"] for each in made["properties"].values()] == [0, 1, 2, 3]
    assert made["required"] == ["prompt", "token", "seed"]


@pytest.mark.parametrize("declaration", ["int", "Path", "list[str]", "str | float", "dict", "Point", "Any"])
def test_a_default_of_none_is_described_as_required_although_it_may_be_left_out(
    read_runner: Read, declaration: str
) -> None:
    plain, with_none = (
        schemas(read_runner(f"x: {declaration}{default}"))["Input"] for default in ("", " = Input(default=None)")
    )

    assert with_none == plain
    assert with_none["required"] == ["x"]


OUTPUTS = {
    "str": '{"title":"Output","type":"string"}',
    "Path": '{"format":"uri","title":"Output","type":"string"}',
    "Any": '{"title":"Output","type":"object"}',
    "dict[str, list[int]]": (
        '{"additionalProperties":{"items":{"type":"integer"},"type":"array"},"title":"Output","type":"object"}'
    ),
    "Iterator[str]": '{"items":{"type":"string"},"title":"Output","type":"array","x-cog-array-type":"iterator"}',
    "ConcatenateIterator[str]": (
        '{"items":{"type":"string"},"title":"Output","type":"array","x-cog-array-display":"concatenate",'
        '"x-cog-array-type":"iterator"}'
    ),
    "Point": (
        '{"properties":{"x":{"title":"X","type":"integer"},'
        '"picture":{"default":null,"format":"uri","nullable":true,"title":"Picture","type":"string"}},'
        '"required":["x"],"title":"Output","type":"object"}'
    ),
    "Tree": (
        '{"properties":{"children":{"items":{"type":"object"},"title":"Children","type":"array"}},'
        '"required":["children"],"title":"Output","type":"object"}'
    ),
}


@pytest.mark.parametrize("annotation", OUTPUTS)
def test_an_output_is_described_as_cog_describes_it(read_runner: Read, annotation: str) -> None:
    described = schemas(read_runner("", annotation))["Output"]

    assert json.dumps(described, separators=(",", ":")) == OUTPUTS[annotation]


@pytest.mark.parametrize("decorator", ["", "@streaming"])
def test_the_operation_says_whether_it_may_be_streamed(read_runner: Read, decorator: str) -> None:
    made = document(read_runner("", "Iterator[str]", decorator=decorator, body="yield 'a'"))

    assert made["paths"]["/predictions"]["post"].get("x-cog-streaming", False) is bool(decorator)
    assert "x-cog-streaming" not in made["components"]["schemas"]["Output"]


def test_what_is_checked_is_json_schema_all_the_same(read_runner: Read) -> None:
    jsonschema_rs.meta.validate(read_runner("z: Tree, x: Optional[str] = Input(choices=['a'])").input_schema)
