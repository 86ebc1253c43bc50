"""A project written for Cog: a small language model that streams its text."""

import random
from collections import defaultdict
from pathlib import Path

from cog import BaseRunner, ConcatenateIterator, Input, current_scope, streaming

ORDER = 5


class Runner(BaseRunner):
    """Writes letter by letter, in the manner of the text that it has read."""

    def setup(self) -> None:
        """Count which letter follows which letters, once for all predictions."""
        text = Path("holmes.txt").read_text(encoding="utf-8").replace("\n", " ")
        self.followers: dict[str, list[str]] = defaultdict(list)
        for length in range(1, ORDER + 1):
            for start in range(len(text) - length):
                self.followers[text[start : start + length]].append(text[start + length])

    @streaming
    def run(
        self,
        prompt: str = Input(description="The beginning of the text", default="To Sherlock Holmes", min_length=1),
        max_tokens: int = Input(description="How many words to write", default=40, ge=1, le=500),
        seed: int = Input(description="The same seed gives the same text", default=0),
    ) -> ConcatenateIterator[str]:
        """Run a single prediction on the model."""
        choose = random.Random(seed).choice  # noqa: S311 - the text is no secret
        written, token, count = prompt, "", 0
        while count < max_tokens:
            letter = choose(self.find_followers(written))
            written += letter
            token += letter
            if letter == " ":
                yield token
                token = ""
                count += 1
        current_scope().record_metric("token_count", count)

    def find_followers(self, written: str) -> list[str]:
        """Return what may come next: what followed the longest end of the text that was seen before."""
        ends = (written[-length:] for length in range(ORDER, 0, -1))
        return next((self.followers[end] for end in ends if end in self.followers), [" "])
