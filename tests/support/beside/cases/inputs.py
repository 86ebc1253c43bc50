"""What is taken for an input."""

import base64
from pathlib import Path
from typing import Any, Final

from beside.case import Area, Difference
from beside.projects import SYNC, TRAIN
from beside.reading import read_problems
from beside.server import Server

AREA: Final = Area("Inputs")

_HI: Final = "data:text/plain;base64," + base64.b64encode(b"hi").decode()


def _give(server: Server, name: str, *values: Any) -> list[Any]:
    """Return what the model got for each value, or the status of what was refused."""
    answers = [server.predict({name: value}) for value in values]
    return [each.json()["output"][name] if each.status_code == 200 else each.status_code for each in answers]


def _evaluate(server: Server, expression: str, **values: Any) -> Any:
    return server.predict({"do": "make", "text": expression, **values}).json().get("output")


@AREA.agrees(SYNC, [422, 0, 5, 422])
def numbers_have_limits(server: Server) -> Any:
    return _give(server, "count", -1, 0, 5, 6)


@AREA.agrees(SYNC, [422, 422, 422, 422, 422])
def other_kinds_are_no_numbers(server: Server) -> Any:
    return _give(server, "count", "1", True, 1.5, None, [1])


@AREA.agrees(SYNC, [True, 422, 422, 422])
def other_kinds_are_no_booleans(server: Server) -> Any:
    return _give(server, "flag", True, 1, "true", None)


@AREA.agrees(SYNC, [1.5, 2, -0.5])
def floats_may_be_whole(server: Server) -> Any:
    return _give(server, "ratio", 1.5, 2, -0.5)


@AREA.differs(
    SYNC,
    Difference(
        "`3.0` for an `int`, `1` for a `float`",
        "reach the model as a float and an int",
        "reach the model as an int and a float",
        "that is what its annotations promise",
    ),
    cog=["float", "int"],
    here=["int", "float"],
)
def numbers_have_the_type_of_their_annotation(server: Server) -> Any:
    return [
        _evaluate(server, "type(count).__name__", count=3.0),
        _evaluate(server, "type(values['ratio']).__name__", ratio=1),
    ]


@AREA.agrees(SYNC, ["small", 422])
def choices_are_kept(server: Server) -> Any:
    return _give(server, "size", "small", "huge")


@AREA.agrees(SYNC, [422, "ab", "abcd", 422, 422])
def texts_have_limits_and_a_pattern(server: Server) -> Any:
    return _give(server, "name", "a", "ab", "abcd", "abcde", "A1")


@AREA.agrees(SYNC, ["a", 422])
def an_optional_text_is_a_text(server: Server) -> Any:
    return _give(server, "maybe", "a", 1)


@AREA.differs(
    SYNC,
    Difference(
        "`null` for an optional input", "422", "`None`", "the annotation allows it, and so does the schema (`nullable`)"
    ),
    cog=[422],
    here=[None],
)
def null_is_given_for_an_optional_input(server: Server) -> Any:
    return _give(server, "maybe", None)


@AREA.agrees(SYNC, [422])
def null_is_not_taken_where_it_is_not_allowed(server: Server) -> Any:
    return _give(server, "text", None)


@AREA.agrees(SYNC, ["hello", 1.5, 1, 422, 422, 422, 422])
def a_union_takes_its_kinds_and_no_other(server: Server) -> Any:
    return _give(server, "mixed", "hello", 1.5, 1, None, True, {}, [])


@AREA.agrees(SYNC, [[1, 2], [], 422, 422, 422])
def a_list_takes_items_of_its_kind(server: Server) -> Any:
    return _give(server, "many", [1, 2], [], ["3"], [True], 1)


@AREA.differs(
    SYNC,
    Difference(
        "place of a wrong item of a list",
        '`["body", "input", "many/1"]`',
        '`["body", "input", "many", 1]`',
        "each step is an item of its own, as for problems in any other place",
    ),
    cog=(422, ["body", "input", "many/1"]),
    here=(422, ["body", "input", "many", 1]),
)
def a_wrong_item_is_told_by_its_place(server: Server) -> Any:
    answer = server.predict({"many": [1, "x"]})
    return answer.status_code, answer.json()["detail"][0]["loc"]


@AREA.agrees(SYNC, ["https://example.org/a.png", _HI, "äöü \U0001f600 \x00\n"])
def a_text_stays_as_it_is(server: Server) -> Any:
    return _give(server, "text", "https://example.org/a.png", _HI, "äöü \U0001f600 \x00\n")


@AREA.agrees(TRAIN, (422, [("body/input/n", "value_error.missing")]))
def a_missing_input_is_told(server: Server) -> Any:
    return read_problems(server.send({"input": {}}, "/trainings"))


@AREA.agrees(SYNC, "hi")
def a_data_url_is_a_file(server: Server) -> Any:
    return _evaluate(server, "file.read_text()", file=_HI)


@AREA.differs(
    SYNC,
    Difference(
        "a data URL that cannot be decoded",
        "gives the model an empty file",
        "422",
        "the client finds its mistake",
    ),
    cog=(200, "0"),
    here=(422, None),
)
def a_data_url_cannot_be_decoded(server: Server) -> Any:
    answer = server.predict({"do": "make", "text": "str(file.stat().st_size)", "file": "data:image/png;base64,@@@"})
    return answer.status_code, answer.json().get("output")


@AREA.agrees(SYNC, True)
def an_input_file_goes_with_its_prediction(server: Server) -> Any:
    path, was_there = _evaluate(server, "[str(file), file.exists()]", file=_HI)
    server.wait_until(lambda: not Path(path).exists())
    return was_there


@AREA.agrees(SYNC, ["name.txt", "fetched"])
def a_url_is_fetched(server: Server) -> Any:
    return _evaluate(server, "(file.name[-8:], file.read_text())", file=f"{server.files.url}/name.txt")


@AREA.agrees(SYNC, ["fetched too", "hi", "fetched"])
def a_list_of_urls_is_a_list_of_files(server: Server) -> Any:
    urls = [f"{server.files.url}/other.txt", _HI, f"{server.files.url}/name.txt"]
    return _evaluate(server, "[each.read_text() for each in files]", files=urls)


@AREA.differs(
    SYNC,
    Difference(
        "a URL that cannot be fetched",
        "200 with status `failed`",
        "422 that names the input",
        "it is the client's input that is wrong, not the model",
    ),
    cog=200,
    here=422,
)
def a_url_that_is_not_there(server: Server) -> Any:
    return server.predict({"do": "call", "file": f"{server.files.url}/missing.txt"}).status_code


@AREA.differs(
    SYNC,
    Difference(
        "a path of the server, such as `/etc/hostname`, for a file",
        "handed to the model, which opens it",
        "422",
        "whoever may ask for predictions may not read the server's files",
    ),
    cog=(200, "/etc/hostname"),
    here=(422, None),
)
def a_path_of_the_server_is_given(server: Server) -> Any:
    answer = server.predict({"do": "make", "text": "str(file)", "file": "/etc/hostname"})
    return answer.status_code, answer.json().get("output")
