"""A batch from its beginning to the end of all its members."""

from collections.abc import Callable, Sequence
from typing import Final

from servekit.errors import CancelationError
from servekit.runtime.assignment import Surroundings
from servekit.runtime.batching.call import BatchCall, ValuesFromTask, ValuesFromThread
from servekit.runtime.batching.member import Member
from servekit.runtime.batching.steps import StepsFromTask, StepsFromThread
from servekit.threads import ContextThreadPoolExecutor

__all__ = ["Batch"]


class Batch:
    """Predictions that run together. All of it happens on the worker's loop.

    A call that fails is made again for each half of its members, and so on, until those are found that make it fail:
    they alone do. Nobody is asked again for whom something was given already.

    Args:
        worker: Where it runs.
        members: Who is in it.
        files: Where files of outputs are read or sent.
        on_success: Is told of each call that succeeded: what its members cost together, and how long it took.
    """

    def __init__(
        self,
        worker: Surroundings,
        members: Sequence[Member],
        files: ContextThreadPoolExecutor,
        on_success: Callable[[float, float], None],
    ) -> None:
        self.members = members
        self._worker = worker
        self._files = files
        self._on_success = on_success
        self._call: BatchCall | None = None
        self._make_call = _KINDS[worker.signature.is_async, worker.signature.streams]

    async def run(self) -> None:
        """Call `predict`, as often as it takes. All members have ended then, or their outputs are being written."""
        try:
            await self._attempt(self.members)
        except Exception as error:  # noqa: BLE001 - no more threads to be had, or a fault of ours: nobody waits for ever
            _fail(self.members, error)

    def withdraw(self, member: Member) -> None:
        """Let one that was asked to stop go; the last one takes the call with it, and ends when that does."""
        if _is_wanted(self.members):
            member.leave()
        if self._call is not None and not _is_wanted(self._call.members):
            self._call.interrupt()

    async def _attempt(self, members: Sequence[Member]) -> None:
        members = [member for member in members if not member.is_over]
        if not _is_wanted(members):
            _fail(members, CancelationError())  # nobody would stop a call that is made after they were asked to
            return
        for member in members:
            member.begin(len(members))
        call = self._call = self._make_call(self._worker, members, self._files)
        error = await call.run()
        self._call = None
        if error is None:
            self._on_success(sum(member.cost for member in members), call.seconds)
        elif len(members) == 1 or not isinstance(error, Exception) or not call.may_repeat:
            _fail(members, error)
        else:
            middle = len(members) // 2
            await self._attempt(members[:middle])
            await self._attempt(members[middle:])


def _is_wanted(members: Sequence[Member]) -> bool:
    return any(not member.is_over and not member.assignment.scope.cancelled for member in members)


def _fail(members: Sequence[Member], error: BaseException) -> None:
    for member in members:
        member.fail(error)


_KINDS: Final[dict[tuple[bool, bool], type[BatchCall]]] = {
    (False, False): ValuesFromThread,
    (True, False): ValuesFromTask,
    (False, True): StepsFromThread,
    (True, True): StepsFromTask,
}
"""By whether `predict` is async, and whether it yields."""
