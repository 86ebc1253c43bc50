from typing import Any

import pytest

from servekit.errors import InputError, SetupError
from servekit.schema import InputChecker
from servekit_cli.hints import add_input_hints, add_package_hint
from servekit_cli.inputs import read_arguments

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "prompt": {"type": "string"},
        "flag": {"type": "boolean"},
        "image": {"type": "string", "format": "uri"},
    },
    "required": ["prompt"],
    "additionalProperties": False,
}


def complain(*pairs: str, json_text: str | None = None, required: str = "prompt") -> str:
    """Give the complaint about an input that does not fit."""
    schema = {**SCHEMA, "required": [required]}
    request = read_arguments(pairs, json_text)
    with pytest.raises(InputError) as caught:
        InputChecker(schema).check(request.fit(schema).raw)
    return str(add_input_hints(caught.value, request, schema))


def test_a_wrapper_around_the_inputs_is_to_be_left_away() -> None:
    assert "input.input: unknown name" in complain(json_text='{"input": {"prompt": "hi"}}')
    assert "leave the wrapper away" in complain(json_text='{"input": {"prompt": "hi"}}')


def test_another_unknown_name_gets_no_hint_about_a_wrapper() -> None:
    assert "wrapper" not in complain("input=hi", "prompt=hi")


def test_a_missing_input_is_shown_as_it_is_written() -> None:
    assert complain() == "input.prompt: missing, and it has no default (give it as -i prompt=...)"


def test_a_missing_file_is_shown_as_it_is_written() -> None:
    assert "(give it as -i image=@FILE)" in complain(required="image")


@pytest.mark.parametrize("word", ["yes", "No", "1", "off"])
def test_words_for_truth_are_told_which_two_there_are(word: str) -> None:
    assert complain("prompt=hi", f"flag={word}").endswith("(write true or false)")


def test_another_word_gets_no_hint_about_truth() -> None:
    assert "true or false" not in complain("prompt=hi", "flag=perhaps")


def test_a_missing_package_is_told_where_it_belongs() -> None:
    error = SetupError("it could not be imported\n\nModuleNotFoundError: No module named 'x'")

    assert "A missing package belongs under build in the spec" in str(add_package_hint(error))


def test_another_failure_of_setup_stays_as_it_is() -> None:
    error = SetupError("ZeroDivisionError: division by zero")

    assert add_package_hint(error) is error
