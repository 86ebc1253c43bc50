"""The server of a soak: servekit's own, which tells on SIGUSR1 what it holds, and notes each prediction's end.

`python -m soak.program FOLDER ...` writes the first to FOLDER/census, as JSON, and the second to FOLDER/ends; the
other arguments are the server's.
"""

import asyncio
import ctypes
import gc
import json
import os
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from typing import IO, Any

from servekit.runtime.prediction import Prediction
from servekit.server import run
from servekit.server.observer import ServerObserver
from servekit.server.program import main


def _take_census() -> dict[str, Any]:
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    tasks = asyncio.all_tasks(asyncio.get_running_loop())
    return {
        "tasks": sorted(getattr(task.get_coro(), "__qualname__", repr(task)) for task in tasks),
        # Threads of the loop's executor come as they are needed, up to a limit, and stay.
        "threads": sorted(
            thread.name.partition("-")[0]
            for thread in threading.enumerate()
            if not thread.name.startswith(("asyncio_", "uvloop_"))
        ),
    }


def _tell(path: Path, *_: object) -> None:
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(_take_census()))
    os.replace(draft, path)  # noqa: PTH105 - whole or not at all


class _Noting(ServerObserver):
    ends: IO[str]

    def prediction_ended(self, prediction: Prediction) -> None:
        super().prediction_ended(prediction)
        assert prediction.completed_at is not None
        seconds = prediction.completed_at - prediction.created_at
        self.ends.write(f"{prediction.id} {prediction.status} {seconds:.3f}\n")
        self.ends.flush()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with (folder / "ends").open("a") as _Noting.ends:
        run.ServerObserver = _Noting  # type: ignore[attr-defined]  # the class that `run` makes its observer of
        signal.signal(signal.SIGUSR1, partial(_tell, folder / "census"))
        code = main(sys.argv[2:])
    sys.exit(code)
