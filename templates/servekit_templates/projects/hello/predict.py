"""A predictor: what is loaded once, and what is done for each request."""

from servekit import BasePredictor, Input


class Predictor(BasePredictor):
    """Greets people."""

    greeting: str

    def setup(self) -> None:
        """Load the model; runs once, before the first prediction."""
        self.greeting = "Hello"

    def predict(self, name: str = Input("world", description="Who to greet.", max_length=80)) -> str:
        """Greet someone."""
        return f"{self.greeting}, {name}!"
