"""How an author's signature is put into servekit's terms before it is read.

servekit's own authors write in these terms. A dialect such as Cog's has other names for some things
and other rules for a few; it says so in a `Reading` of its own, and nothing else needs to know.
"""

import inspect
from collections.abc import Callable
from typing import Any, Final

__all__ = ["OWN", "Reading"]


class Reading:
    """The way of servekit's own predictors; a dialect overrides what it has differently.

    Attributes:
        drops_unknown_inputs: What a client sends beyond the inputs is dropped, with a line in the log, and not refused.
        sends_misfits: An output that does not fit its annotation is sent as it is, and does not fail.
        collects_iterators: An iterator that is returned as a value is the list of what it gives, and not refused.
        keeps_canceled: A prediction that was asked to stop has been canceled, also when it returns something after all.
    """

    drops_unknown_inputs: bool = False
    sends_misfits: bool = False
    collects_iterators: bool = False
    keeps_canceled: bool = False

    def parameter(self, parameter: inspect.Parameter, annotation: Any) -> tuple[inspect.Parameter, Any]:
        """Return a parameter and its annotation in servekit's terms.

        Raises:
            SignatureError: Something about it cannot be used; the message does not name the parameter.
        """
        return parameter, annotation

    def output(self, predict: Callable[..., Any], annotation: Any) -> Any:  # noqa: ARG002 - the interface
        """Return the output's annotation in servekit's terms.

        Raises:
            SignatureError: It cannot be used; the message does not name the predictor.
        """
        return annotation

    def output_extensions(self, predict: Callable[..., Any]) -> dict[str, Any]:  # noqa: ARG002 - the interface
        """Return further keys for the schema of the output, whose names begin with `x-`."""
        return {}


OWN: Final = Reading()
