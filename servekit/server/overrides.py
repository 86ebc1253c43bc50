"""What a request overrides of the author's settings, checked before it takes a slot."""

from collections.abc import Mapping
from typing import Any

import msgspec

from servekit.configuration.requests import FIXED, SETTINGS_KEY, relocate
from servekit.errors import InputError
from servekit.schema import InputChecker

__all__ = ["OverrideChecker"]


class OverrideChecker:
    """Checks the settings in requests' contexts against one JSON Schema.

    Args:
        schema: What may be overridden; None where the predictor declares no settings, and the key is free.
    """

    def __init__(self, schema: dict[str, Any] | None) -> None:
        self._fixed: list[str] = [] if schema is None else schema[FIXED]
        self._checker = None if schema is None else InputChecker(schema)

    def check(self, context: Mapping[str, Any]) -> None:
        """Check a context.

        Raises:
            InputError: The settings in it do not fit.
        """
        given = context.get(SETTINGS_KEY)
        if self._checker is None or given is None:
            return
        try:
            self._checker.check(msgspec.json.encode(given))
        except InputError as error:
            raise InputError(relocate(error.problems, self._fixed)) from None
