"""Noticing that a client has gone while its prediction waits or runs."""

from collections.abc import Callable

from servekit.server.exchange import Exchange

__all__ = ["DisconnectWatch"]


class DisconnectWatch:
    """Watches the client of one request, whose body has been read.

    The connection calls when it is lost, in that same turn of the loop: a task that waited for the news
    would have it one turn later, in which a prediction that nobody wants any more could take a slot.

    Args:
        exchange: The request.
        on_gone: Called once, when the client goes; before this returns if it is gone already.

    Attributes:
        is_gone: The client went.
    """

    __slots__ = ("_connection", "_on_gone", "is_gone")

    def __init__(self, exchange: Exchange, on_gone: Callable[[], None]) -> None:
        self._on_gone = on_gone
        self.is_gone = False
        self._connection = exchange.connection
        self._connection.watch(self._note)

    def end(self) -> None:
        """Watch no longer."""
        self._connection.unwatch(self._note)

    def _note(self) -> None:
        self.is_gone = True
        self._on_gone()
