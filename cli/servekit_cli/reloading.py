"""Notice that the code of a project has changed, for `servekit serve --reload`."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

__all__ = ["watch_code"]


def watch_code(root: Path) -> Callable[[], AsyncIterator[object]]:
    """Make a source of changes below a folder.

    Only Python files count: a predictor may write other files without being loaded anew for it. Hidden
    folders and environments are not looked at.
    """

    def watch() -> AsyncIterator[object]:
        # Only with --reload. Its signature names a type of trio, which is not installed.
        from watchfiles import PythonFilter, awatch  # noqa: PLC0415 # pyright: ignore[reportUnknownVariableType]

        return awatch(root, watch_filter=PythonFilter())

    return watch
