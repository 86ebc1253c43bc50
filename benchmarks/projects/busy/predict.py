"""A predictor that holds the GIL, to see whether the server stays answerable."""

import time


class Predictor:
    """Counts."""

    def predict(self, seconds: float) -> float:
        """Use the CPU in pure Python for so many seconds of it, and give back that number."""
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            sum(range(1000))
        return seconds
