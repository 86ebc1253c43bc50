"""The smallest predictor: text in, text out."""

from servekit import BasePredictor, Input


class Predictor(BasePredictor):
    """Greets people."""

    def predict(self, name: str = Input("world", description="Who to greet.", max_length=80)) -> str:
        """Greet someone."""
        return f"Hello, {name}!"
