"""What batches may be: what the spec says, else what the author's `@batch` says, else the default."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import msgspec

from servekit.batching import BatchOptions, bind_to_inputs
from servekit.errors import PredictorError

__all__ = ["BatchLimits", "BatchPolicy"]

_DEFAULT_SIZE: Final = 32
"""How many predictions a batch has at most where nobody says it; by feel, small enough for most models' memory."""


class BatchLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What the spec says of batches; None where it says nothing.

    Attributes:
        max_size: How many predictions one call takes at most.
        max_wait: For how many seconds the first one of a batch waits for more.
        max_cost: How much the predictions of one call may cost together.
        target_latency: In how many seconds a prediction should be done, from its arrival in the worker on.
    """

    max_size: int | None = None
    max_wait: float | None = None
    max_cost: float | None = None
    target_latency: float | None = None


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """How the batches of one predictor are made.

    Attributes:
        max_size: How many predictions one call takes at most.
        max_wait: For how many seconds the first one of a batch waits for more; None for as long as that is worth it.
        max_cost: How much the predictions of one call may cost together; None for any amount.
        target_latency: In how many seconds a prediction should be done; None if that does not matter.
        cost: Says what a prediction costs, by its inputs; None if all cost the same.
        key: Says with which others it can be in a batch, by its inputs; None for all.
    """

    max_size: int = _DEFAULT_SIZE
    max_wait: float | None = None
    max_cost: float | None = None
    target_latency: float | None = None
    cost: Callable[[Mapping[str, Any]], float] | None = None
    key: Callable[[Mapping[str, Any]], Hashable] | None = None

    @classmethod
    def resolve(cls, limits: BatchLimits, options: BatchOptions | None, names: list[str], where: str) -> Self:
        """Put together what the spec and the author say.

        Args:
            limits: What the spec says.
            options: What `@batch` says, if it is there.
            names: What the inputs are called.
            where: What to call the predictor in errors.

        Raises:
            SignatureError: `cost` or `key` takes something that is no input.
            PredictorError: The spec limits the cost of batches, and nobody says what a prediction costs.
        """
        options = options or BatchOptions()
        max_cost = limits.max_cost if limits.max_cost is not None else options.max_cost
        if max_cost is not None and options.cost is None:
            message = (
                f"serve.batch.max_cost is {max_cost:g}, and {where} does not say what a prediction costs; "
                "give `@batch` a cost function, or set serve.batch.max_size instead"
            )
            raise PredictorError(message)
        return cls(
            max_size=limits.max_size or options.max_size or _DEFAULT_SIZE,
            max_wait=limits.max_wait if limits.max_wait is not None else options.max_wait,
            max_cost=max_cost,
            target_latency=limits.target_latency,
            cost=None if options.cost is None else bind_to_inputs(options.cost, names, f"{where}: the cost of @batch"),
            key=None if options.key is None else bind_to_inputs(options.key, names, f"{where}: the key of @batch"),
        )

    @property
    def is_selective(self) -> bool:
        """Whether not all predictions go with all others."""
        return self.key is not None or self.max_cost is not None

    def slots(self, concurrency: int) -> int:
        """Return how many predictions a worker should hold, so that the next batch is there when one ends.

        Args:
            concurrency: How many batches run at once.
        """
        ahead = _SELECTIVE_AHEAD if self.is_selective else 1
        return (concurrency + ahead) * self.max_size


_SELECTIVE_AHEAD: Final = 3
"""Batches to choose from where not all predictions go together; by feel."""
