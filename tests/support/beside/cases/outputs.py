"""What becomes of outputs."""

from typing import Any, Final

from beside.bench import COG_FOLDER
from beside.case import Area, Difference
from beside.projects import SYNC
from beside.server import Server

AREA: Final = Area("Outputs")

_TEXT: Final = "data:text/plain;base64,aGk="
_SENT: Final = Difference(
    "dates and bytes in an output",
    "the prediction fails",
    "ISO 8601, and base64",
    "both have one usual form in JSON",
)


def _make(server: Server, expression: str) -> Any:
    body = server.predict({"do": "make", "text": expression}).json()
    return body["output"] if body["status"] == "succeeded" else body["status"]


@AREA.agrees(SYNC, (True, None, "succeeded"))
def none_is_null(server: Server) -> Any:
    body = server.predict({"do": "make", "text": "None"}).json()
    return "output" in body, body.get("output"), body["status"]


@AREA.agrees(SYNC, {"a": [1, 2.5, True, None, "x"], "b": {"c": [1, 2]}, "s": [1]})
def plain_values_are_json(server: Server) -> Any:
    return _make(server, "{'a': [1, 2.5, True, None, 'x'], 'b': {'c': (1, 2)}, 's': {1}}")


@AREA.agrees(SYNC, [1, 2])
def a_generator_that_is_returned_is_a_list(server: Server) -> Any:
    return _make(server, "(each for each in (1, 2))")


@AREA.agrees(SYNC, ["GET", "2024-01-02T03:00:00"])
def enums_and_times_are_texts(server: Server) -> Any:
    return _make(server, "[__import__('http').HTTPMethod.GET, __import__('datetime').datetime(2024, 1, 2, 3)]")


@AREA.differs(SYNC, _SENT, cog=["failed", "failed"], here=["2024-01-02", "aGk="])
def dates_and_bytes(server: Server) -> Any:
    return [_make(server, "__import__('datetime').date(2024, 1, 2)"), _make(server, "b'hi'")]


@AREA.agrees(SYNC, ["failed", "failed"])
def what_json_has_not_fails_the_prediction(server: Server) -> Any:
    return [_make(server, "float('nan')"), _make(server, "object()")]


@AREA.differs(
    SYNC,
    Difference(
        "integers from 2⁶⁴ on",
        "become floats",
        "stay as they are",
        "no digit of an output is lost",
    ),
    cog=False,
    here=True,
)
def large_integers(server: Server) -> Any:
    return _make(server, "2**70") == 2**70


@AREA.differs(
    SYNC,
    Difference(
        "a `Secret` in an output",
        "is shown, as `secret_value`",
        "is masked",
        "a secret that a model returns by mistake stays one",
    ),
    cog={"secret_value": "hidden"},
    here="**********",
)
def a_secret_is_returned(server: Server) -> Any:
    return server.predict({"do": "make", "text": "key", "key": "hidden"}).json()["output"]


@AREA.differs(
    SYNC,
    Difference(
        "a line that the model prints without its end",
        "is in the logs of the next prediction",
        "is in the logs of its own",
        "nothing of one client may reach another",
    ),
    cog=["", "half|\n"],
    here=["half", "|\n"],
)
def half_a_line_is_printed(server: Server) -> Any:
    expressions = ("sys.stdout.write('half') and 1", "print('|')")
    return [server.predict({"do": "make", "text": each}).json()["logs"] for each in expressions]


@AREA.agrees(SYNC, [_TEXT, "data:application/octet-stream;base64,aGk="])
def a_file_is_a_data_url(server: Server) -> Any:
    return [_make(server, "write('a.txt')"), _make(server, "write('a.qqq')")]


@AREA.agrees(SYNC, [[_TEXT], {"file": _TEXT}])
def files_in_lists_and_dicts_are_data_urls(server: Server) -> Any:
    return [_make(server, "[write('a.txt')]"), _make(server, "{'file': write('a.txt')}")]


@AREA.differs(
    SYNC,
    Difference(
        "an output file that is not there",
        "the prediction succeeds, and its output is `null`",
        "the prediction fails",
        "the client would take it for an empty result",
    ),
    cog=None,
    here="failed",
)
def a_file_that_is_not_there(server: Server) -> Any:
    return _make(server, "Path('/nowhere/a.txt')")


@AREA.differs(
    SYNC,
    Difference(
        "folders of a prediction",
        f"`{COG_FOLDER}/predictions/{{id}}` stays for ever",
        "no folder outlives its prediction",
        "a server that runs for months must not fill its disk",
    ),
    cog=True,
    here=False,
)
def folders_are_left_in_the_system_s_folder(server: Server) -> Any:
    name = f"beside-{server.side}"
    server.predict({"do": "call"}, id=name)
    return (COG_FOLDER / "predictions" / name).exists()
