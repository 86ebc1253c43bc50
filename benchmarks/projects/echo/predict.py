"""Gives back what it is given; what is measured is the server around it."""


class Predictor:
    """An async predictor."""

    async def predict(self, text: str) -> str:
        """Give back the text."""
        return text
