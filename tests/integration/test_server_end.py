"""How a server process ends."""

from collections.abc import Callable
from typing import Any

import httpx

StartServer = Callable[..., Any]


def test_a_thread_that_will_not_stop_does_not_hold_up_the_end(start_server: StartServer) -> None:
    code = """
        import time
        class Predictor:
            def predict(self) -> str:
                time.sleep(600)
                return "never"
    """
    server = start_server(code, isolation="thread", shutdown_grace=0.1, cancel_grace=0.1)
    with httpx.Client(base_url=server.url) as client:
        client.post("/predictions", headers={"prefer": "respond-async"})

    assert server.stop() == 0
