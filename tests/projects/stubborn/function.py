"""Functions that would go on for ever, each in another way. `how: neighbour` waits for the file `gate`."""

import ctypes
import os
import time
from collections.abc import Callable
from pathlib import Path


def busy_loop() -> None:
    while True:
        pass


def time_sleep() -> None:
    time.sleep(600)


def blocking_read() -> None:
    os.read(os.pipe()[0], 1)


def c_without_the_gil() -> None:
    ctypes.CDLL(None).sleep(600)


def c_with_the_gil() -> None:
    ctypes.PyDLL(None).sleep(600)


def swallows_the_cancellation() -> None:
    while True:
        try:
            time.sleep(0.001)
        except BaseException:
            pass


WAYS: dict[str, Callable[[], None]] = {
    function.__name__: function
    for function in (
        busy_loop,
        time_sleep,
        blocking_read,
        c_without_the_gil,
        c_with_the_gil,
        swallows_the_cancellation,
    )
}


def predict(how: str = "neighbour") -> int:
    Path(f"begun-{how}").touch()
    if how in WAYS:
        WAYS[how]()
    while not Path("gate").exists():
        time.sleep(0.01)
    return os.getpid()
