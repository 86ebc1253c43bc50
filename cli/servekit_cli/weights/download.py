"""Fetch one file, or list and fetch a folder, from wherever fsspec can."""

import errno
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from servekit.errors import WeightsError

__all__ = ["Remote", "to_fsspec"]

_ATTEMPTS: Final = 2
_CONNECT_SECONDS: Final = 30
_SILENCE_SECONDS: Final = 60
"""How long a server may send nothing. The whole may take as long as it does."""

_PACKAGES: Final = {"hf": "huggingface_hub", "s3": "s3fs", "http": "aiohttp", "https": "aiohttp"}
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_FIRST_SERVER_FAULT: Final = 500

OnBytes = Callable[[int, int | None], None]
"""Is told how many bytes have come, and of how many, if that is known."""


class Remote:
    """A source that has to be fetched.

    Attributes:
        source: Its URL, as in the spec.
        shown: The same without what may be a key.

    Args:
        source: As above.

    Raises:
        WeightsError: A package that its kind of URL needs is missing.
    """

    def __init__(self, source: str) -> None:
        # A quarter of a second, for what is not in the cache; it has no type information.
        core: Any = importlib.import_module("fsspec.core")

        self.source = source
        self.shown = source.partition("?")[0]
        self._scheme = source.partition("://")[0]
        try:
            found: tuple[Any, str] = core.url_to_fs(to_fsspec(source), **_options_for(self._scheme))
        except ImportError as error:
            package = _PACKAGES[self._scheme]
            raise WeightsError(
                f"{self.shown} cannot be fetched, since {package} is missing.\n"
                f"Install it beside servekit: {sys.executable} -m pip install {package}"
            ) from error
        self._files, self._path = found

    def list_files(self) -> list[str]:
        """List what is in a folder, as paths relative to it; a single file is the empty path.

        Raises:
            WeightsError: It cannot be listed.
        """
        if self._scheme in ("http", "https"):  # no folders there
            return [""]

        def find() -> list[str]:
            if not self._files.isdir(self._path):
                return [""]
            return sorted(name.removeprefix(self._path).strip("/") for name in self._files.find(self._path))

        names: list[str] = self._try(find)
        return names

    def fetch(self, relative: str, file: Path, on_bytes: OnBytes) -> None:
        """Fetch one of its files. A connection that breaks is tried once more.

        Args:
            relative: As listed.
            file: Where it goes; part of it may be there after an error.
            on_bytes: Is told how far it is.

        Raises:
            WeightsError: There is no such file, or it cannot be fetched.
        """
        path = f"{self._path}/{relative}" if relative else self._path
        self._try(lambda: self._files.get_file(path, str(file), callback=_make_callback(on_bytes)))

    def _try(self, action: Callable[[], Any]) -> Any:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return action()
            except FileNotFoundError as error:
                raise WeightsError(
                    f"{self.shown} is not there.\nCorrect the source in the spec, or see whether you may read it."
                ) from error
            except Exception as error:  # the border: each backend of fsspec has errors of its own
                if isinstance(error, OSError) and error.errno in _NO_ROOM:
                    raise  # of this machine, which the caller knows more about
                if attempt == _ATTEMPTS or _is_refusal(error):
                    reason = f"{type(error).__name__}: {error}".rstrip(": ")
                    raise WeightsError(
                        f"{self.shown} could not be fetched: {reason}.\n"
                        "See whether the server can be reached and lets you read it, then try again."
                    ) from error
        raise AssertionError("unreachable")


def _is_refusal(error: Exception) -> bool:
    """Whether trying again would get the same answer."""
    status = getattr(error, "status", None) or getattr(getattr(error, "response", None), "status_code", None)
    return isinstance(error, PermissionError) or (isinstance(status, int) and status < _FIRST_SERVER_FAULT)


def to_fsspec(source: str) -> str:
    """Put the revision of a file on the Hugging Face hub where fsspec wants it: behind the repository."""
    if not source.startswith("hf://"):
        return source
    path, at, revision = source.partition("@")
    if not at or "/" in revision:  # it stands there already
        return source
    owner, repository, rest = path.removeprefix("hf://").split("/", 2)
    return f"hf://{owner}/{repository}@{revision}/{rest}"


def _options_for(scheme: str) -> dict[str, Any]:
    if scheme not in ("http", "https"):
        return {}
    from aiohttp import ClientTimeout  # noqa: PLC0415 - comes with fsspec's HTTP

    # aiohttp would give up after five minutes in all, and not look at the proxy and netrc of the user.
    timeout = ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS)
    return {"client_kwargs": {"trust_env": True, "timeout": timeout}}


def _make_callback(on_bytes: OnBytes) -> Any:
    callbacks: Any = importlib.import_module("fsspec.callbacks")

    def tell(size: int | None, value: int, **_: Any) -> None:
        on_bytes(value, size)

    return callbacks.Callback(hooks={"tell": tell})
