"""A generator that would go on for ever and does not let itself be closed."""

import os
import time
from collections.abc import Iterator
from pathlib import Path


def predict(how: str = "neighbour") -> Iterator[int]:
    Path(f"begun-{how}").touch()
    while how == "ignores_close":
        try:
            time.sleep(0.001)
            yield 0
        except BaseException:
            pass
    while not Path("gate").exists():
        time.sleep(0.01)
    yield os.getpid()
