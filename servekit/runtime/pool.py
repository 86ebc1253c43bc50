"""A pool: the workers of a spec with all that belongs to them, as servers and the command line use it."""

import asyncio
import itertools
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from servekit.errors import NotReadyError, ServekitError
from servekit.runtime.capacity import plan_capacity
from servekit.runtime.dispatch import Dispatcher
from servekit.runtime.handle import WorkerHandle
from servekit.runtime.logs import routed_output
from servekit.runtime.model import Model, SetupRecord
from servekit.runtime.observer import PoolObserver
from servekit.runtime.prediction import Prediction
from servekit.runtime.scratch import ScratchFolder, sweep
from servekit.runtime.settings import WorkerSettings
from servekit.runtime.terms import DEFAULT_TERMS, Terms
from servekit.runtime.watchdog import Watchdog
from servekit.spec import Spec

__all__ = ["Pool"]


class Pool:
    """The workers of a spec, with a bounded queue in front of their slots.

    Args:
        spec: What to run and how.
        python: The interpreter for worker processes; the current one if not given.
        observer: Is told of ends, deaths and output; for logs and metrics.
        devices: The GPUs to place workers on; they are looked for if not given.

    Raises:
        SpecError: There are not as many GPUs as the spec asks for.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        python: str,
        observer: PoolObserver | None = None,
        devices: Sequence[str] | None = None,
    ) -> None:
        self._isolation = spec.serve.isolation
        self._folder = ScratchFolder()
        observer = observer or PoolObserver()
        self._dispatcher = Dispatcher(
            WorkerSettings.from_spec(spec, self._folder.path),
            spec.serve,
            plan_capacity(spec, devices=devices),
            observer,
            python,
            self.remove_files,
        )
        self._crew = self._dispatcher.crew
        self._watchdog = Watchdog(lambda: self._crew.workers, self._dispatcher, observer, spec.serve.hang_timeout)
        self._keys = itertools.count(1)
        self._cleanups: set[asyncio.Future[None]] = set()
        self._exits = ExitStack()

    # ------------------------------------------------------------------ life

    async def start(self) -> None:
        """Start the workers; they load the predictor, and wait for `set_up`."""
        self._clean_up(sweep)
        if self._isolation == "thread":
            self._exits.enter_context(routed_output())
        else:
            self._crew.feed.open()
        self._watchdog.start()
        await self._crew.places.open()
        self._dispatcher.open()

    async def loaded(self) -> Model:
        """Wait until the predictor is imported, and return what it takes and gives.

        Raises:
            PredictorError: The spec names something that is not there or is no predictor.
            SetupError: The predictor's module could not be imported; its traceback is in the message.
        """
        await self._crew.until(lambda: self._crew.model is not None)
        assert self._crew.model is not None
        return self._crew.model

    def set_up(self) -> None:
        """Let the workers run `setup`."""
        self._crew.allow_setup()

    async def ready(self) -> None:
        """Wait until a worker takes predictions.

        Raises:
            ServekitError: No worker could be made ready. The pool keeps trying; a later call may succeed.
        """
        await self._crew.until(lambda: self._crew.is_ready)

    async def reload(self) -> None:
        """Replace all workers by new ones with today's code, without a gap.

        Raises:
            ServekitError: The new code could not be made ready, and the old workers stay; or the server is going away.
        """
        if self._dispatcher.is_draining:
            message = "the server is shutting down"
            raise NotReadyError(message)
        await self._crew.places.reload()

    async def drain(self, grace_seconds: float) -> None:
        """Take no new predictions, let those there are finish, and cancel what the grace is too short for."""
        await self._dispatcher.drain(grace_seconds)

    async def close(self, grace_seconds: float = 10.0) -> None:
        """End everything: what still runs, the workers (`teardown` included), temporary files.

        Args:
            grace_seconds: How long `teardown` may take. With 0 the workers are killed.
        """
        self._dispatcher.close()
        self._crew.feed.close()
        await self._watchdog.close()
        await self._crew.close(grace_seconds)
        if self._cleanups:
            await asyncio.wait(self._cleanups)
        await asyncio.to_thread(self._folder.remove)
        self._exits.close()

    def abandon(self) -> None:
        """Kill the workers and remove temporary files, at once and without waiting for anything."""
        self._crew.feed.close()
        for worker in list(self._crew.workers):
            worker.kill()
        self._folder.remove()

    # ------------------------------------------------------------------ state

    @property
    def model(self) -> Model | None:
        """What the predictor takes and gives, once it is known."""
        return self._crew.model

    @property
    def is_ready(self) -> bool:
        """Whether predictions are taken."""
        return (self._crew.is_ready or self._crew.can_wake) and not self._dispatcher.is_draining

    @property
    def expects_slots(self) -> bool:
        """Whether a prediction that waits will come to run, as far as one can know."""
        return self._crew.expects_slots

    @property
    def is_asleep(self) -> bool:
        """Whether there are no workers because nobody needed them; the next prediction starts one."""
        return self._crew.can_wake and self._crew.places.size == 0

    @property
    def is_draining(self) -> bool:
        """Whether the pool is on its way out."""
        return self._dispatcher.is_draining

    @property
    def failure(self) -> ServekitError | None:
        """Why no worker can be made ready at the moment, or None."""
        return self._crew.setups.failure

    @property
    def setup(self) -> SetupRecord:
        """How the latest setup went."""
        return self._crew.setups.shown

    @property
    def free_slots(self) -> int:
        """How many predictions could start now."""
        return sum(worker.free_slots for worker in self._crew.workers)

    @property
    def slots(self) -> int:
        """How many predictions may run at a time now; with an adaptive concurrency this changes."""
        return sum(worker.slots for worker in self._crew.workers if worker.is_able)

    @property
    def queue_length(self) -> int:
        """How many predictions wait."""
        return self._dispatcher.queue_length

    @property
    def workers(self) -> list[WorkerHandle]:
        """The workers that are not dead."""
        return self._crew.workers

    @property
    def blocked_workers(self) -> list[WorkerHandle]:
        """Those of the workers that do not answer at the moment."""
        return [worker for worker in self._crew.workers if worker.pulse.hang is not None]

    @property
    def is_blocked(self) -> bool:
        """Whether all workers that could take predictions are blocked."""
        able = [worker for worker in self._crew.workers if worker.is_able]
        return bool(able) and all(worker.pulse.hang is not None for worker in able)

    @property
    def has_abandoned_threads(self) -> bool:
        """Whether code that would not stop still runs in this process: only `os._exit` ends it then."""
        return self._crew.has_abandoned

    async def check_health(self, patience_seconds: float) -> str | None:
        """Ask the predictor's `healthcheck`; return its complaint, or None.

        Args:
            patience_seconds: How long to wait for it. One that takes longer goes on, within its time limit, and what
                it says is returned later; until then what the last one said is, or None if there was none.
        """
        return await self._crew.check_health(patience_seconds)

    # ------------------------------------------------------------------ predictions

    def new_prediction(
        self,
        raw_input: bytes,
        *,
        id: str | None = None,  # noqa: A002 - the field's name everywhere
        shown_input: bytes | None = None,
        context: dict[str, Any] | None = None,
        uploads: Mapping[str, str] | None = None,
        key: int | None = None,
        terms: Terms = DEFAULT_TERMS,
        tells_cancel_reason: bool = True,
    ) -> Prediction:
        """Make a prediction for `submit`. Its input is checked already; its context is what JSON can hold.

        It runs with the settings that the calling code overrides by `servekit.context`.
        """
        model = self._crew.model
        return Prediction(
            secrets.token_hex(13) if id is None else id,
            next(self._keys) if key is None else key,
            raw_input,
            shown_input=shown_input,
            context=None if context is None else msgspec.json.encode(context),
            uploads=uploads,
            overlay=self._crew.feed.pack_overlay(),
            streams=model is not None and model.streams,
            terms=terms,
            tells_cancel_reason=tells_cancel_reason,
        )

    def new_key(self) -> int:
        """Take a key in advance, for a prediction whose files arrive before it can be made."""
        return next(self._keys)

    def submit(self, prediction: Prediction) -> None:
        """Give a prediction a slot, or a place in the queue.

        Raises:
            BusyError: All slots are taken and the queue is full.
            CallerLimitError: Its caller has as many predictions as one may.
            NotReadyError: No worker is ready yet, or the server is going away.
        """
        self._dispatcher.submit(prediction)

    def cancel(self, prediction: Prediction, reason: str) -> None:
        """End a prediction as canceled; one that has ended stays as it is."""
        self._dispatcher.cancel(prediction, reason)

    def pause(self, prediction: Prediction) -> None:
        """Let a prediction's generator wait; its reader is behind."""
        self._dispatcher.pause(prediction)

    def resume(self, prediction: Prediction) -> None:
        """Let it go on."""
        self._dispatcher.resume(prediction)

    def retry_after(self) -> int:
        """Seconds after which a refused request has a chance, from the measured rate."""
        return self._dispatcher.retry_after()

    # ------------------------------------------------------------------ files

    def directory_of(self, key: int) -> Path:
        """Return the folder for a prediction's temporary files, which may not exist."""
        return self._folder.path / str(key)

    def remove_files(self, key: int) -> None:
        """Remove the temporary files that stand under a key, in the background."""
        self._clean_up(partial(shutil.rmtree, self.directory_of(key), ignore_errors=True))

    def _clean_up(self, remove: Callable[[], None]) -> None:
        """Run in a thread what removes files; `close` waits for it."""
        removal = asyncio.get_running_loop().run_in_executor(None, remove)
        self._cleanups.add(removal)
        removal.add_done_callback(self._cleanups.discard)
