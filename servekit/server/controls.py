"""What a client may do to the server itself, where the spec allows it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

__all__ = ["Controls"]


@dataclass(frozen=True)
class Controls:
    """The handles that the web side has on the server.

    Attributes:
        shut_down: Begins the shutdown; it does not wait for it.
        reload: Brings in new code, for a reason that is logged. It raises a `ServekitError` when that
            could not be made ready.
    """

    shut_down: Callable[[], None]
    reload: Callable[[str], Awaitable[None]]
