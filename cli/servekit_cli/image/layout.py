"""Where a project stands in its image, which differs with whose rules it follows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from servekit.spec import SPEC_NAMES, Dialect

__all__ = ["LAYOUTS", "PROJECT_FOLDER", "Layout"]

PROJECT_FOLDER: Final = "/app"


@dataclass(frozen=True)
class Layout:
    """What a project may count on in its image.

    Attributes:
        spec_name: What its spec is called there, whatever it was called before: then nothing has to be told.
        alias: Another path that leads to its folder, which its code may name.
        is_writable: Whether its code may write beside itself.
        environment: Variables of the container, unless the spec sets them.
        commands: What is done once servekit is installed.
    """

    spec_name: str
    alias: str | None = None
    is_writable: bool = False
    environment: tuple[tuple[str, str], ...] = ()
    commands: tuple[str, ...] = ()


LAYOUTS: Final[Mapping[Dialect, Layout]] = {
    "servekit": Layout(SPEC_NAMES["servekit"]),
    # Cog runs a model as root in /src, where many keep what they download in setup.
    "cog": Layout(
        SPEC_NAMES["cog"],
        alias="/src",
        is_writable=True,
        # Empty counts as not set, so that LOG_FORMAT has an effect.
        environment=(("SERVEKIT_LOG_FORMAT", ""), ("LOG_FORMAT", "json")),
        # For `python -m cog.server.http` and the project's scripts; the server's workers need nothing.
        commands=("python -P -m servekit.compat.importing",),
    ),
}
