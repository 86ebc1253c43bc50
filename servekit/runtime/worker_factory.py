"""Workers as the spec wants them, each with its share of the machine."""

import os

import msgspec

from servekit.loading import find_loader
from servekit.runtime.capacity import Capacity
from servekit.runtime.devices import Devices
from servekit.runtime.handle import WorkerEvents, WorkerHandle
from servekit.runtime.oom import OomKills
from servekit.runtime.process_handle import ProcessHandle
from servekit.runtime.settings import WorkerSettings
from servekit.runtime.settings_feed import SettingsFeed
from servekit.runtime.thread_handle import ThreadHandle

__all__ = ["WorkerFactory"]

_SERVERS_OWN = frozenset({"SERVEKIT_UPLOAD_URL", "SERVEKIT_WEBHOOK_SECRET", "WEBHOOK_AUTH_TOKEN"})
"""Variables that a model has no use for, and might print into logs that its clients see."""


class WorkerFactory:
    """Makes the workers of one crew, and knows which has which devices.

    Args:
        settings: What workers are told.
        capacity: What each gets of the machine.
        python: The interpreter for processes.
        isolation: "process" or "thread".
        feed: What this process has configured.
    """

    def __init__(
        self, settings: WorkerSettings, capacity: Capacity, python: str, isolation: str, feed: SettingsFeed
    ) -> None:
        self._settings = settings
        self._feed = feed
        self._threads = capacity.threads
        self._python = python
        self._isolation = isolation
        self._devices = Devices(capacity.devices, capacity.gpus_per_worker)
        self._oom_kills = OomKills()
        self._count = 0

    def make(self, events: WorkerEvents, replaces: WorkerHandle | None) -> WorkerHandle:
        """Make a worker that has not been started.

        Args:
            events: Who is told what it says.
            replaces: Whose place, and so whose devices, it takes.
        """
        self._count += 1
        if self._isolation == "thread":
            return ThreadHandle(self._count, self._settings, events)
        devices = self._devices.take(() if replaces is None else replaces.devices)
        kept = {name: value for name, value in os.environ.items() if name not in _SERVERS_OWN}
        environment = find_loader(self._settings.dialect, self._settings.mode).environment(kept)
        environment["SERVEKIT_WORKER"] = str(self._count)
        if devices:
            environment["CUDA_VISIBLE_DEVICES"] = environment["SERVEKIT_DEVICE"] = ",".join(devices)
        if self._threads is not None:
            environment["OMP_NUM_THREADS"] = str(self._threads)
        settings = self._settings
        if (newest := self._feed.newest) is not None:
            settings = msgspec.structs.replace(
                settings, configured=newest.payload, configured_at_opening=self._feed.opened_at
            )
        worker = ProcessHandle(self._count, settings, events, self._python, environment, self._oom_kills)
        worker.configured = newest
        worker.devices = devices
        return worker

    def take_devices_from(self, worker: WorkerHandle) -> None:
        """Let others have what a worker has that is gone, or is as good as gone."""
        self._devices.give_back(worker.devices)
        worker.devices = ()
