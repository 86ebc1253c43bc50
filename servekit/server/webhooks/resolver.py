"""Names looked up without holding up the event loop, or anything else that uses its threads."""

import asyncio
import contextlib
import threading
from typing import Final

from servekit.runtime.addresses import parse_address
from servekit.runtime.targets import Target, TargetError, look_up

__all__ = ["Resolver"]

_MAX_LOOK_UPS: Final = 32


class Resolver:
    """Looks names up in threads of its own.

    The system's resolver keeps its own time and cannot be interrupted. Its threads are daemons: an end of the server
    does not wait for them. Those who ask for one name at the same time share one of them.
    """

    def __init__(self) -> None:
        self._look_ups: dict[tuple[str, int], asyncio.Future[list[str] | TargetError]] = {}

    async def resolve(self, target: Target) -> list[str]:
        """Return the addresses of a host, at least one.

        Raises:
            TargetError: There is no such host, or too many names are being looked up.
        """
        with contextlib.suppress(ValueError):
            parse_address(target.host)
            return [target.host]
        key = (target.host, target.port)
        look_up = self._look_ups.get(key)
        if look_up is None:
            look_up = self._begin(key)
        found = await asyncio.shield(look_up)
        if isinstance(found, TargetError):
            raise found
        return found

    def _begin(self, key: tuple[str, int]) -> "asyncio.Future[list[str] | TargetError]":
        if len(self._look_ups) >= _MAX_LOOK_UPS:
            message = f"{_MAX_LOOK_UPS} other names are being looked up, and the resolver does not answer"
            raise TargetError(message)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[str] | TargetError] = loop.create_future()

        def run() -> None:
            found: list[str] | TargetError
            try:
                found = look_up(*key)
            except TargetError as error:
                found = error
            except OSError as error:
                found = TargetError(f"it cannot be looked up: {error}")
            with contextlib.suppress(RuntimeError):  # the loop has come to its end
                loop.call_soon_threadsafe(self._settle, key, found)

        threading.Thread(target=run, name="servekit-webhook-resolver", daemon=True).start()
        self._look_ups[key] = answer  # not before: a thread that cannot be started would never settle it
        return answer

    def _settle(self, key: tuple[str, int], found: list[str] | TargetError) -> None:
        self._look_ups.pop(key).set_result(found)
