"""A predictor that streams: each piece of text that it yields is sent at once."""

import time

from servekit import BasePredictor, ConcatenateIterator, Input


class Predictor(BasePredictor):
    """Writes text word by word, as a language model would."""

    words: list[str]

    def setup(self) -> None:
        """Load the model; runs once, before the first prediction."""
        self.words = ["once", "upon", "a", "time", "a", "model", "answered", "piece", "by", "piece"]

    def predict(
        self,
        prompt: str = Input("Listen:", description="The beginning of the text."),
        max_tokens: int = Input(10, description="How many words to write at most.", ge=1, le=1000),
    ) -> ConcatenateIterator[str]:
        """Continue the prompt."""
        yield prompt
        for count in range(max_tokens):
            time.sleep(0.05)  # a real model thinks here
            yield f" {self.words[count % len(self.words)]}"
