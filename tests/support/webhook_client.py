"""A client that wants to be told of its predictions, for tests of whole servers."""

from collections.abc import Callable
from typing import Any

import httpx
from receiver import Post, Receiver
from serving import Server

__all__ = ["CODE", "WebhookClient", "has", "told"]

CODE = """
    import asyncio, os
    from collections.abc import AsyncIterator
    from pathlib import Path

    HERE = Path.cwd()

    class Predictor:
        async def predict(self, steps: str = "") -> AsyncIterator[str]:
            for step in steps.split():
                verb, _, word = step.partition(":")
                match verb:
                    case "yield":
                        yield word
                    case "count":
                        for number in range(int(word)):
                            yield str(number)
                            await asyncio.sleep(0)
                    case "print":
                        print(word)
                    case "variable":
                        yield os.environ.get(word, "not set")
                    case "fail":
                        raise ValueError(word)
                    case "wait":
                        while not (HERE / word).exists():
                            await asyncio.sleep(0.01)
"""
"""A predictor whose input says step by step what it does."""


class WebhookClient:
    """Asks for predictions whose webhooks go to a path of their id's name."""

    def __init__(self, server: Server, receiver: Receiver) -> None:
        self.server = server
        self.receiver = receiver

    def ask(self, name: str, steps: str = "yield:a", *events: str, **headers: str) -> httpx.Response:
        body: dict[str, Any] = {"input": {"steps": steps}, "webhook": f"{self.receiver.url}/{name}"}
        if events:
            body["webhook_events_filter"] = events
        with self.server.client() as client:
            return client.put(f"/predictions/{name}", json=body, headers=headers or {"Prefer": "respond-async"})

    def show(self, name: str) -> bytes:
        with self.server.client() as client:
            return client.get(f"/predictions/{name}").content

    def open(self, gate: str) -> None:
        (self.server.root / gate).touch()

    def wait(self, name: str, condition: Callable[[list[Post]], bool]) -> list[Post]:
        return self.receiver.wait(f"/{name}", condition)

    def wait_for_end(self, name: str) -> list[Post]:
        return self.receiver.wait_for_end(f"/{name}")


def told(posts: list[Post]) -> list[str]:
    """Return what a receiver was told of, in order."""
    return [post.event for post in posts]


def has(event: str) -> Callable[[list[Post]], bool]:
    """Return the condition that a receiver was told of something."""
    return lambda posts: event in told(posts)
