"""An async predictor: it runs many predictions at once, for work that mostly waits."""

import asyncio

from servekit import BasePredictor, Input, current_scope


class Predictor(BasePredictor):
    """Asks something slow, such as another service, about each of some words."""

    async def setup(self) -> None:
        """Open connections; runs once, before the first prediction."""
        await asyncio.sleep(0)

    async def predict(self, words: list[str] = Input(["servekit"], description="What to ask about.")) -> dict[str, int]:
        """Ask about all words at once."""
        answers = await asyncio.gather(*(self.ask(word) for word in words))
        current_scope().record_metric("asked", len(answers))
        return dict(zip(words, answers, strict=True))

    async def ask(self, word: str) -> int:
        """Ask about one word; put a real request here."""
        await asyncio.sleep(0.05)
        return len(word)
