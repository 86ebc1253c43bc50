"""Where the output of a training goes: the weights in it, which are what a training is run for, to the file of `-o`."""

from typing import Final

import msgspec

from servekit_cli.outputs import Outcome, Writer
from servekit_cli.schemas import Schema, is_file, property_schema, resolve

__all__ = ["WeightsWriter", "find_weights"]

_NAME: Final = "weights"
"""What Cog's trainings call the file in what they return."""


def find_weights(schema: Schema) -> Schema | None:
    """Return the schema of the file that an output consists of under the name `weights`; None if it is another output.

    Args:
        schema: The JSON Schema of the output.
    """
    if list(resolve(schema, schema).get("properties", ())) != [_NAME]:
        return None
    weights = property_schema(schema, schema, _NAME)
    return weights if is_file(weights, schema) else None


class WeightsWriter(Writer):
    """Has the weights in an output written as if they were all of it.

    Args:
        writer: Writes them.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def close(self) -> None:
        """Close what they are written to."""
        self._writer.close()

    def write_item(self, data: bytes) -> None:
        """Take nothing: an object comes as a whole."""

    def finish(self, outcome: Outcome) -> None:
        """Have them written when the training has succeeded."""
        members = msgspec.json.decode(outcome.output, type=dict[str, msgspec.Raw] | None)
        if members:
            outcome = msgspec.structs.replace(outcome, output=members[_NAME])
        self._writer.finish(outcome)
