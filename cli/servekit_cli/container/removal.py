"""The removal of a container, with proof."""

import time
from typing import Final

from docker.errors import APIError, NotFound

from servekit.errors import ContainerError, EngineError
from servekit_cli.engine import Engine

__all__ = ["remove_container"]

_SECONDS: Final = 20.0
_PAUSE_SECONDS: Final = 0.05


def remove_container(engine: Engine, name: str) -> None:
    """Remove a container, whether it runs or not, and return when it is gone; it need not be there.

    Raises:
        EngineError: The engine went away, or does not answer.
        ContainerError: The engine does not remove it.
    """
    deadline = time.monotonic() + _SECONDS
    try:
        while not _is_gone(engine, name):
            if time.monotonic() > deadline:
                raise ContainerError(_left_behind(name, f"the engine did not remove it within {_SECONDS:.0f} seconds"))
            time.sleep(_PAUSE_SECONDS)
    except EngineError as error:
        raise EngineError(f"{error}\n{_left_behind(name, 'its removal could not be asked for')}") from error


def _is_gone(engine: Engine, name: str) -> bool:
    """Ask for the removal; only a container that is not found is one that is gone."""
    try:
        with engine.faults():
            engine.client.api.remove_container(name, force=True, v=True)
    except NotFound:
        return True
    except APIError:  # the engine is at it already, as a container that ends is removed by itself
        return False
    return False


def _left_behind(name: str, reason: str) -> str:
    return (
        f"The container {name} may still be there: {reason}.\n"
        f"The next command that runs an image removes it, and so does: docker rm -f {name}"
    )
