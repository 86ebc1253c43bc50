"""The model's schemas in the OpenAPI document."""

from typing import Any

from servekit.runtime.model import Model
from servekit.server.openapi import make_openapi
from servekit.server.schemas import make_components


def make(input_schema: dict[str, Any], output_schema: dict[str, Any]) -> Model:
    return Model(
        input_schema,
        output_schema,
        is_async=False,
        streams=False,
        concatenates=False,
        uses_files=False,
        has_secrets=False,
        has_healthcheck=False,
    )


def test_definitions_of_one_name_stay_apart() -> None:
    def schema(kind: str) -> dict[str, Any]:
        return {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": kind}}}

    schemas = make_components(make(schema("string"), schema("integer")))

    assert schemas["Input"] == {"properties": {"a": {"$ref": "#/components/schemas/Input_A"}}}
    assert (schemas["Input_A"], schemas["Output_A"]) == ({"type": "string"}, {"type": "integer"})


def test_definitions_may_refer_to_each_other() -> None:
    tree = {"properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}}}

    schemas = make_components(make({}, {"$ref": "#/$defs/Tree", "$defs": {"Tree": tree}}))

    assert schemas["Output"] == {"$ref": "#/components/schemas/Output_Tree"}
    assert schemas["Output_Tree"]["properties"]["children"]["items"] == schemas["Output"]


def test_an_input_may_be_called_as_a_keyword_is() -> None:
    properties = {"$ref": {"type": "string"}, "$defs": {"type": "string"}}

    schemas = make_components(make({"properties": properties}, {}))

    assert schemas["Input"]["properties"] == properties


def test_the_model_s_own_schema_is_left_as_it_is() -> None:
    schema: dict[str, Any] = {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string"}}}

    make_openapi("title", make(schema, {}))

    assert schema == {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string"}}}
