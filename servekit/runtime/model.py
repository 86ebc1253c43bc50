"""What a server knows of its predictor: what it takes and gives, and how its latest setup went."""

import time
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from servekit.runtime.protocol import Loaded

__all__ = ["Model", "SetupRecord"]


@dataclass(frozen=True)
class Model:
    """What a loaded predictor takes and gives.

    Attributes:
        input_schema: JSON Schema of the input object.
        output_schema: JSON Schema of the output; an array for predictors that yield.
        is_async: `predict` is a coroutine function or an async generator.
        streams: `predict` yields its output in items.
        concatenates: The items are pieces of one text.
        uses_files: Inputs or outputs hold files.
        has_secrets: Inputs hold secrets.
        has_healthcheck: The predictor has a healthcheck of its own.
        batch_size: How many predictions one call takes at most; None if each gets a call of its own.
        slots: With a batch size, how many predictions a worker takes at a time.
        settings_schema: JSON Schema of the settings that a request may override; None if none are declared.
    """

    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    is_async: bool
    streams: bool
    concatenates: bool
    uses_files: bool
    has_secrets: bool
    has_healthcheck: bool
    batch_size: int | None = None
    slots: int = 0
    settings_schema: dict[str, Any] | None = None

    @classmethod
    def from_message(cls, loaded: Loaded) -> "Model":
        """Decode what a worker said of itself."""
        fields = msgspec.structs.asdict(loaded)
        for name in ("input_schema", "output_schema", "settings_schema"):
            if fields[name] is not None:
                fields[name] = msgspec.json.decode(fields[name])
        return cls(**fields)


@dataclass
class SetupRecord:
    """How the latest setup went, for health answers. Times are seconds since the epoch."""

    status: Literal["starting", "succeeded", "failed"] = "starting"
    started_at: float = field(default_factory=time.time)
    completed_at: float | None = None
    logs: str = ""

    _MAX_LOGS = 1_000_000

    def add_log(self, text: str) -> None:
        """Keep what was printed, the first megabyte of it."""
        self.logs += text[: max(0, self._MAX_LOGS - len(self.logs))]

    def end(self, status: Literal["succeeded", "failed"], text: str = "") -> None:
        """Setup is over."""
        self.status = status
        self.completed_at = time.time()
        self.logs += text
