import json
from typing import Any

import pytest

from servekit.errors import InputError
from servekit_cli.inputs import read_arguments
from servekit_cli.model_io import fit_input

POINT = {"type": "object", "properties": {"scale": {"type": "number"}}, "required": ["scale"]}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "prompt": {"type": "string", "minLength": 1},
        "count": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
        "flag": {"type": "boolean", "default": False},
        "image": {"type": "string", "format": "uri"},
        "size": {"$ref": "#/$defs/Size"},
        "speed": {"anyOf": [{"enum": ["fast", "slow"]}, {"type": "null"}], "default": None},
        "either": {"anyOf": [{"type": "integer"}, {"type": "boolean"}], "default": 1},
        "numbers": {"type": "array", "items": {"type": "integer"}, "default": []},
        "point": {"anyOf": [{"$ref": "#/$defs/Point"}, {"type": "null"}], "default": None},
    },
    "required": ["prompt"],
    "$defs": {"Size": {"enum": [1, 2]}, "Point": POINT},
}


def complain(*pairs: str, json_text: str | None = None, schema: dict[str, Any] = SCHEMA) -> str:
    """Give the complaint about an input that does not fit."""
    with pytest.raises(InputError) as caught:
        fit_input(read_arguments(pairs, json_text), schema)
    return str(caught.value)


def complain_about(**values: Any) -> str:
    """Give the complaint about an input whose prompt is fine."""
    return complain(json_text=json.dumps({"prompt": "hi", **values}))


COMPLAINTS: dict[str, tuple[dict[str, Any], str]] = {
    "a type": ({"prompt": 10}, 'invalid input "prompt": expected string, got number 10'),
    "a text for a number": ({"count": "many"}, 'invalid input "count": expected integer, got string "many"'),
    "a file": ({"image": 1}, 'invalid input "image": expected string, got number 1'),
    "a list": ({"count": [1]}, 'invalid input "count": expected integer, got array [1]'),
    "an item": ({"numbers": [1, "x"]}, 'invalid input "numbers.1": expected integer, got string "x"'),
    "a member": ({"point": {"scale": "x"}}, 'invalid input "point.scale": expected number, got string "x"'),
    "a missing member": ({"point": {}}, 'missing required input "point.scale"'),
    "one of two types": ({"either": "x"}, 'invalid input "either": expected boolean or integer, got string "x"'),
    "a limit": ({"count": 0}, 'invalid input "count": number must be at least 1, got 0'),
    "a length": ({"prompt": ""}, 'invalid input "prompt": expected at least 1 characters, got ""'),
    "a choice": ({"size": 3}, 'invalid input "size": must be one of: 1, 2; got 3'),
    "a choice that may be left out": ({"speed": "x"}, 'invalid input "speed": must be one of: fast, slow; got "x"'),
    "null": ({"count": None}, 'invalid input "count": must not be null (omit the input to use its default)'),
    "null where there is no default": ({"prompt": None}, 'invalid input "prompt": must not be null'),
}


@pytest.mark.parametrize(("values", "complaint"), COMPLAINTS.values(), ids=COMPLAINTS.keys())
def test_a_fault_is_named_with_its_place(values: dict[str, Any], complaint: str) -> None:
    assert complain_about(**values) == complaint


def test_the_type_of_a_long_list_is_not_told_wrongly() -> None:
    assert complain_about(count=[1000] * 100).startswith('invalid input "count": expected an integer, got [1000,')


def test_an_unknown_input_is_told_which_there_are() -> None:
    assert complain_about(zzz=1) == (
        'unknown input "zzz"; valid inputs are: count, either, flag, image, numbers, point, prompt, size, speed'
    )


def test_a_name_that_is_nearly_right_is_proposed() -> None:
    assert complain_about(cuont=1).endswith('("cuont": did you mean "count"?)')


def test_unknown_inputs_are_told_together() -> None:
    none: dict[str, Any] = {"type": "object", "properties": {}}

    assert complain("b=1", "a=2", schema=none) == 'unknown inputs "a", "b"; model does not accept inputs'


def test_several_faults_are_listed() -> None:
    assert complain("count=0", "flag=perhaps").splitlines() == [
        "input validation failed:",
        '- invalid input "count": number must be at least 1, got 0',
        '- invalid input "flag": expected boolean, got string "perhaps"',
        '- missing required input "prompt" (give it as -i prompt=...)',
    ]


def test_a_wrapper_around_the_inputs_is_to_be_left_away() -> None:
    assert "leave the wrapper away" in complain(json_text='{"input": {"prompt": "hi"}}')


def test_another_unknown_name_gets_no_hint_about_a_wrapper() -> None:
    assert "wrapper" not in complain("input=hi", "prompt=hi")


def test_a_missing_file_is_shown_as_it_is_written() -> None:
    assert "(give it as -i image=@FILE)" in complain(schema={**SCHEMA, "required": ["image"]})


@pytest.mark.parametrize("word", ["yes", "No", "1", "off"])
def test_words_for_truth_are_told_which_two_there_are(word: str) -> None:
    assert complain("prompt=hi", f"flag={word}").endswith("(write true or false)")


def test_another_word_gets_no_hint_about_truth() -> None:
    assert "true or false" not in complain("prompt=hi", "flag=perhaps")


def test_what_is_nested_too_deeply_has_no_place() -> None:
    assert complain(json_text='{"prompt": ' + "[" * 500 + "]" * 500 + "}").startswith(
        "invalid input: nested too deeply"
    )
