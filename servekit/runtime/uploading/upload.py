"""One file on its way to the receiver, until that has it or time is up."""

import itertools
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urljoin

from servekit.errors import CancelationError, UploadError
from servekit.runtime.connections import WATCH_SECONDS, ExpiredError
from servekit.runtime.retry import choose_pause, is_worth_retrying, parse_retry_after
from servekit.runtime.targets import Target, TargetError
from servekit.runtime.uploading.put import Answer, PutError, put
from servekit.runtime.uploading.target import UploadTarget, read_location

__all__ = ["Upload"]

_REDIRECTS: Final = frozenset({307, 308})
"""Those that say: the same request again, elsewhere. After the others it would be a GET, which carries no file."""

_MAX_REDIRECTS: Final = 5


class Upload:
    """One file's upload.

    Args:
        url: Where it is put.
        path: The file.
        receiver: How long and how often it is tried.
        is_cancelled: Whether the prediction was canceled.
    """

    def __init__(self, url: str, path: Path, receiver: UploadTarget, is_cancelled: Callable[[], bool]) -> None:
        self._url = url
        self._path = path
        self._receiver = receiver
        self._is_cancelled = is_cancelled
        self._deadline = time.monotonic() + receiver.timeout_seconds

    def run(self) -> str:
        """Send the file, and return the URL that it has from now on.

        Raises:
            UploadError: The receiver does not take it.
            OutputError: It cannot be read.
            CancelationError: The prediction was canceled; what was under way is cut off.
        """
        for tries in itertools.count(1):
            try:
                return self._try()
            except ExpiredError as error:
                raise self._failure(f"upload took longer than {self._limit}", tries) from error
            except _NotTakenError as error:
                pause_seconds = choose_pause(tries, error.retry_after_seconds)
                if not error.may_retry or tries > self._receiver.retries:
                    raise self._failure(str(error), tries) from error.__cause__
                if time.monotonic() + pause_seconds >= self._deadline:
                    raise self._failure(f"{error}, and {self._limit} are up", tries) from error.__cause__
            self._wait(pause_seconds)
        raise AssertionError("unreachable: there is no last number")

    def _try(self) -> str:
        target = Target.of(self._url)
        credentials = target.credentials
        for _ in range(_MAX_REDIRECTS + 1):
            answer = self._put(target, credentials)
            if answer.status in _REDIRECTS and answer.location is not None:
                origin = target.origin
                target = _follow(target, answer.location)
                credentials = credentials if target.origin == origin else target.credentials
            elif not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
                raise _NotTakenError.by_answer(answer)
            else:
                return read_location(target.url.url, answer.location)
        message = f"upload was redirected more than {_MAX_REDIRECTS} times"
        raise _NotTakenError(message, may_retry=False)

    def _put(self, target: Target, credentials: dict[str, str]) -> Answer:
        if self._is_cancelled():
            raise CancelationError
        try:
            return put(target, credentials, self._path, self._deadline, self._is_cancelled)
        except PutError as error:
            if time.monotonic() >= self._deadline:
                raise ExpiredError from error
            raise _NotTakenError(str(error), may_retry=error.may_retry) from error

    def _wait(self, seconds: float) -> None:
        ends_at = time.monotonic() + seconds
        while (left := ends_at - time.monotonic()) > 0:
            if self._is_cancelled():
                raise CancelationError
            time.sleep(min(left, WATCH_SECONDS))

    @property
    def _limit(self) -> str:
        return f"{self._receiver.timeout_seconds:g} seconds (serve.upload.timeout)"

    def _failure(self, reason: str, tries: int) -> UploadError:
        counted = "tried once" if tries == 1 else f"tried {tries} times"
        # A path may be the secret by which the receiver knows its senders.
        origin = Target.of(self._url).origin
        return UploadError(f"Failed to upload output: {reason} ({self._path.name} to {origin}, {counted})")


class _NotTakenError(Exception):
    """A try that failed."""

    def __init__(self, message: str, *, may_retry: bool, retry_after_seconds: float = 0.0) -> None:
        self.may_retry = may_retry
        self.retry_after_seconds = retry_after_seconds
        super().__init__(message)

    @classmethod
    def by_answer(cls, answer: Answer) -> "_NotTakenError":
        known = answer.status in HTTPStatus.__members__.values()
        shown = f"{answer.status} {HTTPStatus(answer.status).phrase}" if known else str(answer.status)
        message = f"upload returned status {shown}"
        if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
            message += "; only 307 and 308 with a Location are followed"
        seconds = parse_retry_after(answer.retry_after)
        return cls(message, may_retry=is_worth_retrying(answer.status), retry_after_seconds=seconds)


def _follow(target: Target, location: str) -> Target:
    try:
        return Target.of(urljoin(target.url.url, location))
    except (TargetError, ValueError) as error:
        message = "upload was redirected to what is no URL of http or https"
        raise _NotTakenError(message, may_retry=False) from error
