"""Numbers that may also be ranges: `4`, `{min: 0, max: 4}` or, where only a text fits, `0-4`."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, TypeVar, cast

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from servekit.spec.values import unfit

__all__ = ["Range", "SlotRange", "WorkerRange"]

_End = TypeVar("_End", int, int | str)

_TEXT: Final = re.compile(r"([0-9]+|[a-z_]+)(?: *- *([0-9]+|[a-z_]+))?")


@dataclass(frozen=True)
class Range(Generic[_End]):
    """From how many to how many; a word stands for a number that only the machine knows."""

    min: _End
    max: _End

    @property
    def is_fixed(self) -> bool:
        """Whether both are the same, as when a single number was written."""
        return self.min == self.max


class _Parser:
    """Reads a range, and says what was expected of one.

    Args:
        least: The lowest `min`; the lowest `max`, and the lowest number that stands for both, is 1 in any case.
        most: The highest number.
        words: What may stand in place of a number.
    """

    def __init__(self, least: int, most: int, *words: str) -> None:
        self._least = least
        self._most = most
        self._words = words
        known = "".join(f" {word}," for word in words)
        self._expected = f"it must be a whole number of at least 1,{known} or a range with min and max"

    def __call__(self, value: object) -> Range[int | str]:
        """Read what a file, a variable or a flag says.

        Raises:
            PydanticCustomError: It is none; pydantic adds the place.
        """
        low, high = map(self._read_end, self._split(value))
        if high == 0:
            raise unfit("nothing would ever run", "Set it, or its max, to 1 or more.")
        if isinstance(low, int) and low < self._least:
            raise unfit(f"min must be at least {self._least}", f"Set min to {self._least} or more.")
        if isinstance(high, int) and high > self._most:
            raise unfit(f"more than {self._most} would only bring the machine down", f"Set it to {self._most} or less.")
        if isinstance(low, int) and isinstance(high, int) and low > high:
            raise unfit(f"min ({low}) is more than max ({high})", "Exchange them, or raise max.")
        return Range(low, high)

    def schema(self) -> dict[str, Any]:
        """Describe it to editors."""
        words = [{"enum": [*self._words]}] if self._words else []
        low = {"anyOf": [{"type": "integer", "minimum": self._least, "maximum": self._most}, *words]}
        high = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": self._most}, *words]}
        section = {"properties": {"min": low, "max": high}, "required": ["min", "max"], "additionalProperties": False}
        end = "[0-9]+|[a-z_]+" if self._words else "[0-9]+"
        text = {"type": "string", "pattern": f"^({end})( *- *({end}))?$"}
        return {"anyOf": [*high["anyOf"], {"type": "object", **section}, text]}

    def _split(self, value: Any) -> tuple[object, object]:
        match value:
            case Range():
                written = cast("Range[int | str]", value)
                return written.min, written.max
            case {"min": low, "max": high, **more} if not more:
                return low, high
            case str() if match := _TEXT.fullmatch(value.strip()):
                return match[1], match[2] or match[1]
            case int() if not isinstance(value, bool):
                return value, value
            case _:
                raise self._misfit()

    def _read_end(self, value: object) -> int | str:
        if isinstance(value, str) and value.isdecimal():
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and value in self._words:
            return value
        raise self._misfit()

    def _misfit(self) -> Exception:
        return unfit(self._expected, "Write it as in `4`, or as in `{min: 1, max: 4}`.")


def _write(value: Range[int | str]) -> int | str:
    return value.min if value.is_fixed else f"{value.min}-{value.max}"


_MOST_WORKERS: Final = 1_000
_MOST_SLOTS: Final = 100_000
"""By feel: more than a machine can use, and few enough that a typing error does not make it unusable."""

_WORKERS: Final = _Parser(0, _MOST_WORKERS, "auto", "per_gpu")
_SLOTS: Final = _Parser(1, _MOST_SLOTS)


def _read_slots(value: object) -> Range[int]:
    return cast("Range[int]", _SLOTS(value))  # it knows no words


WorkerRange = Annotated[
    Range[int | str],
    PlainValidator(_WORKERS),
    PlainSerializer(_write, when_used="json"),
    WithJsonSchema(_WORKERS.schema()),
]
SlotRange = Annotated[
    Range[int],
    PlainValidator(_read_slots),
    PlainSerializer(_write, when_used="json"),
    WithJsonSchema(_SLOTS.schema()),
]
