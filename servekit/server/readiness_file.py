"""The file by which pods of Cog tell Kubernetes that they are ready: a readiness probe may look for it."""

from collections.abc import Mapping
from pathlib import Path

from structlog.typing import FilteringBoundLogger

__all__ = ["ReadinessFile"]

_PATH = Path("/var/run/cog/ready")


class ReadinessFile:
    """An empty file, written once. In a place that cannot be written to, the log says so and all goes on.

    Args:
        environ: The environment; without `KUBERNETES_SERVICE_HOST` in it nothing is written.
        log: Where lines go.
        path: The file.
    """

    def __init__(self, environ: Mapping[str, str], log: FilteringBoundLogger, path: Path = _PATH) -> None:
        self._is_due = "KUBERNETES_SERVICE_HOST" in environ
        self._log = log
        self._path = path

    def write(self) -> None:
        """Write the file, if that is due; later calls do nothing."""
        if not self._is_due:
            return
        self._is_due = False
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch()
        except OSError as error:
            self._log.warning(
                "a readiness probe that looks for this file will fail", path=str(self._path), error=str(error)
            )
