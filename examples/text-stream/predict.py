"""A language model small enough to read: it writes text word by word, and streams every word."""

import random
import re
import time
from collections import defaultdict
from pathlib import Path as LocalPath

from servekit import BasePredictor, ConcatenateIterator, Input, current_scope

TEXT = LocalPath(__file__).with_name("alice.txt")


class Predictor(BasePredictor):
    """Continues a prompt in the manner of the text it was trained on."""

    followers: dict[tuple[str, ...], list[str]]

    def setup(self) -> None:
        """Learn which word follows which, after one word and after two."""
        words = split_words(TEXT.read_text(encoding="utf-8"))
        self.followers = defaultdict(list)
        for index in range(len(words) - 1):
            self.followers[(words[index],)].append(words[index + 1])
            if index:
                self.followers[(words[index - 1], words[index])].append(words[index + 1])

    def predict(
        self,
        prompt: str = Input("Alice was", description="The beginning of the text.", min_length=1, max_length=500),
        max_tokens: int = Input(40, description="How many words to write at most.", ge=1, le=1000),
        seed: int = Input(0, description="The same seed gives the same text."),
        delay: float = Input(0.02, description="Seconds to wait before each word, as a large model would.", ge=0, le=1),
    ) -> ConcatenateIterator[str]:
        """Write the prompt's continuation, one word at a time."""
        choose = random.Random(seed).choice  # noqa: S311 - the text is no secret
        written = split_words(prompt)
        count = 0
        while count < max_tokens and (candidates := self.find_candidates(written)):
            time.sleep(delay)
            written.append(choose(candidates))
            count += 1
            yield join_word(written[-1])
        current_scope().record_metric("words", count)

    def find_candidates(self, written: list[str]) -> list[str]:
        """Return what may come next: what followed the last two words, or else the last one."""
        pair = self.followers.get(tuple(written[-2:]), [])
        return pair or self.followers.get(tuple(written[-1:]), [])


def split_words(text: str) -> list[str]:
    """Split text into words and punctuation marks."""
    return re.findall(r"[\w'-]+|[^\w\s]", text)


def join_word(word: str) -> str:
    """Put the space in front of a word that a punctuation mark does not have."""
    return word if re.fullmatch(r"[,.;:!?)]", word) else f" {word}"
