"""Tokens at a model's pace, each with the time at which it was due, from a sync generator."""

import time
from collections.abc import Iterator


class Predictor:
    """A sync generator that waits between its tokens."""

    def predict(self, count: int, interval_seconds: float) -> Iterator[str]:
        """Yield a token each `interval_seconds`; with 0, as fast as they are taken.

        A token carries the monotonic time at which it was due, which all processes of a machine share:
        how late it arrives is what client and server both added to it.
        """
        start = time.monotonic()
        for index in range(count):
            due = start + index * interval_seconds if interval_seconds else time.monotonic()
            if (wait := due - time.monotonic()) > 0:
                time.sleep(wait)
            yield f"token {index} {due:.6f};"
