"""What a worker process has from the program that started it."""

import threading
from collections.abc import Mapping
from typing import Any

from servekit.configuration.carrying import NumberedValue, unpack_numbered, unpack_values
from servekit.configuration.process import PROCESS, ProcessSettings
from servekit.errors import PredictorError, SettingsError

__all__ = ["Inheritance", "read_overlay"]


class Inheritance:
    """The values that the program has configured, as far as this process knows of them.

    They stand among those that this process configures: the last one wins, name by name. With one exception, so
    that a worker which replaces another one is like it: what the program has configured since its pool was
    opened is newer than what `setup` configures, whenever that runs.

    Where no class of settings is declared there is nothing to configure, and they are left alone.

    Args:
        process: The settings of this process.

    Attributes:
        fault: What of it does not fit the class that is declared here; None if all does.
    """

    def __init__(self, process: ProcessSettings = PROCESS) -> None:
        self.fault: str | None = None
        self._process = process
        self._lock = threading.RLock()  # a validator of the author's, run under it, may come back
        self._values: dict[str, NumberedValue] = {}
        self._faults: dict[str, str] = {}
        self._is_declared = False

    def take(self, payload: bytes) -> None:
        """Learn what is configured. What is known in a newer version stays; before `confirm` it is only kept."""
        with self._lock:
            newer = {
                name: value
                for name, value in unpack_numbered(payload).items()
                if name not in self._values or value[0] > self._values[name][0]
            }
            self._values.update(newer)
            if self._is_declared:
                self._apply(newer)
            else:
                self._process.inherit({name: bytes(text) for name, (_, text) in self._values.items()})

    def confirm(self) -> None:
        """Apply it, when the module that may declare a class has been imported.

        Raises:
            PredictorError: It does not fit the class.
        """
        with self._lock:
            self._is_declared = True
            self._apply(self._values)
            if self.fault is not None:
                message = f"what the program that started this worker has configured cannot be used here: {self.fault}"
                raise PredictorError(message)

    def renew(self, since: int) -> None:
        """Apply again what is of a later version, over what was configured here meanwhile."""
        with self._lock:
            self._apply({name: value for name, value in self._values.items() if value[0] > since})

    def _apply(self, values: Mapping[str, NumberedValue]) -> None:
        declaration = self._process.declaration
        if declaration is None or not values:
            return
        fitting: dict[str, Any] = {}
        for name, (_, text) in values.items():
            try:
                fitting[name] = declaration.read(name, bytes(text))
            except SettingsError as error:
                self._faults[name] = str(error)
            else:
                self._faults.pop(name, None)
        self._process.adopt(fitting)
        self.fault = "\n".join(self._faults.values()) if self._faults else None


def read_overlay(payload: bytes) -> dict[str, Any]:
    """Return the values of the overlay in which a program has submitted a prediction.

    Raises:
        SettingsError: They do not fit the class that is declared here.
    """
    declaration = PROCESS.declaration
    if declaration is None:
        return {}
    return {name: declaration.read(name, bytes(text)) for name, text in unpack_values(payload).items()}
