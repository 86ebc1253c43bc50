from pathlib import Path
from typing import Any

import msgspec
import pytest

from servekit.runtime.prediction import Status
from servekit_cli.outputs import Outcome, OutputWriter
from servekit_cli.trained import WeightsWriter, find_weights

FILE = {"type": "string", "format": "uri"}
OBJECTS: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    "the weights alone": ({"properties": {"weights": FILE}}, FILE),
    "by reference": ({"$ref": "#/$defs/A", "$defs": {"A": {"properties": {"weights": FILE}}}}, FILE),
    "beside another value": ({"properties": {"weights": FILE, "loss": {"type": "number"}}}, None),
    "under another name": ({"properties": {"model": FILE}}, None),
    "that are no file": ({"properties": {"weights": {"type": "string"}}}, None),
    "no object": (FILE, None),
}


@pytest.mark.parametrize("case", OBJECTS)
def test_weights_are_found_where_they_are_all_there_is(case: str) -> None:
    schema, expected = OBJECTS[case]

    assert find_weights(schema) == expected


def test_weights_are_written_as_the_file_that_they_are(tmp_path: Path) -> None:
    output = msgspec.Raw(b'{"weights": "data:application/octet-stream;base64,YWFh"}')

    with WeightsWriter(OutputWriter(FILE, streams=False, concatenates=False, target=tmp_path / "weights")) as writer:
        writer.finish(Outcome(Status.SUCCEEDED, output))

    assert (tmp_path / "weights").read_bytes() == b"aaa"
