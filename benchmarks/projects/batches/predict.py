"""A model that costs 5 ms a call and 0.1 ms an item, as one on a GPU would, called one by one and in batches."""

import time

from servekit import Batch, batch


class OneByOne:
    """Takes one prediction a call."""

    def predict(self, text: str) -> str:
        """Give the text back."""
        _compute(1)
        return text


class InBatches:
    """Takes up to 64."""

    @batch(max_size=64)
    def predict(self, text: Batch[str]) -> Batch[str]:
        """Give the texts back."""
        _compute(len(text))
        return text


def _compute(items: int) -> None:
    time.sleep(0.005 + 0.0001 * items)
