"""Tokens as fast as the server takes them, from a sync generator."""

from collections.abc import Iterator


class Predictor:
    """A sync generator."""

    def predict(self, count: int) -> Iterator[str]:
        """Yield numbered tokens, so that the client can tell a lost or a swapped one."""
        for index in range(count):
            yield f"token {index};"
