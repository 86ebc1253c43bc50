"""Every error that the server answers, in one form: `{"detail": ...}`.

A single error is a sentence. What is wrong with an input is a list, one entry per fault, each with
`loc`, `msg`, `type` and `value`: the form that clients of Cog and of FastAPI know.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from servekit.errors import BusyError, InputError, NotReadyError, ServekitError

__all__ = ["Refusal", "refuse_error", "refuse_problems"]


class Refusal(Exception):  # noqa: N818 - the request is at fault, not the server
    """A request that is answered with an error.

    Args:
        status: The HTTP status.
        detail: What happened, what was expected and how to mend it; or a list of problems.
        headers: Further headers of the answer.
        is_before_the_end: The request is not read to its end; the connection cannot be used again.
        more: What else the answer tells beside `detail`.
        cause: The error of ours that it answers, if it does.
    """

    def __init__(
        self,
        status: int,
        detail: str | Sequence[dict[str, Any]],
        *headers: tuple[bytes, bytes],
        is_before_the_end: bool = False,
        more: Mapping[str, object] = MappingProxyType({}),
        cause: ServekitError | None = None,
    ) -> None:
        self.status = status
        self.detail = detail
        self.headers = headers
        self.is_before_the_end = is_before_the_end
        self.more = more
        self.cause = cause
        super().__init__(status, detail)

    def body(self) -> bytes:
        """Return the body of the answer."""
        return msgspec.json.encode({"detail": self.detail, **self.more})

    def retold(
        self, status: int, detail: str | Sequence[dict[str, Any]], more: Mapping[str, object] = MappingProxyType({})
    ) -> "Refusal":
        """Return the same answer in other words; `more` stands beside what stood there already."""
        return Refusal(
            status,
            detail,
            *self.headers,
            is_before_the_end=self.is_before_the_end,
            more={**self.more, **more},
            cause=self.cause,
        )

    @classmethod
    def invalid(cls, loc: Sequence[str | int], message: str, value: object = None) -> "Refusal":
        """Return the answer to a request of which one part is wrong."""
        problem: dict[str, Any] = {"loc": list(loc), "msg": message, "type": "value_error"}
        if value is not None:
            problem["value"] = value
        return cls(422, [problem])

    @classmethod
    def wrong_method(cls, method: str, allowed: str) -> "Refusal":
        """Return the answer to a method that a path does not have; `allowed` is a list with commas."""
        return cls(405, f"{method} is not possible here; possible are {allowed}", (b"allow", allowed.encode()))

    @classmethod
    def too_large(cls, limit: int) -> "Refusal":
        """Return the answer to a body that is too large. The connection ends: the rest is not read."""
        message = f"the request body is larger than {limit} bytes (serve.max_body); send large files as URLs"
        return cls(413, message, is_before_the_end=True)

    @classmethod
    def unavailable(cls, message: str, retry_after_seconds: int, **more: object) -> "Refusal":
        """Return the answer to a request that may succeed later; `more` stands beside `detail`."""
        return cls(503, message, _retry_after(retry_after_seconds), more=more)


_NOT_READY_SECONDS = 2
"""When to ask again while setup runs: often enough not to waste a ready server, chosen by feel."""


def refuse_error(error: ServekitError) -> Refusal:
    """Return the answer to a request that ended in an error of ours."""
    match error:
        case InputError():
            return refuse_problems(error.problems)
        case BusyError():  # everybody's, or only this caller's
            return Refusal(error.http_status, str(error), _retry_after(error.retry_after_seconds), cause=error)
        case NotReadyError():
            return Refusal(error.http_status, str(error), _retry_after(_NOT_READY_SECONDS), cause=error)
        case _:
            return Refusal(error.http_status, str(error), cause=error)


def _retry_after(seconds: int) -> tuple[bytes, bytes]:
    return b"retry-after", b"%d" % seconds


def refuse_problems(problems: Sequence[dict[str, Any]]) -> Refusal:
    """Return the answer to an input that does not fit; the problems' places begin at "input"."""
    return Refusal(422, [{**problem, "loc": ["body", *problem["loc"]]} for problem in problems])
