"""SIGTERM at a bad moment: what was accepted still ends, and so does the server."""

import signal
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import psutil
from serving import Server, StartServer, wait_until

CODE = """
    import asyncio, os, time
    from pathlib import Path

    HERE = Path.cwd()

    class Predictor:
        def setup(self) -> None:
            number = os.environ["SERVEKIT_WORKER"]
            (HERE / f"begun-{number}").touch()
            while (HERE / "hold-setup").exists():
                time.sleep(0.01)

        async def predict(self, name: str) -> str:
            with open(HERE / "ledger", "a") as ledger:
                ledger.write(f"{name}\\n")
            while not (HERE / "gate").exists():
                await asyncio.sleep(0.01)
            return name
"""


class Load:
    """Predictions of clients that wait for them."""

    def __init__(self, server: Server, clients: ThreadPoolExecutor) -> None:
        self.server = server
        self._clients = clients
        self._answers: list[Future[httpx.Response]] = []

    def ask(self, *names: str) -> None:
        self._answers += [self._clients.submit(self._ask, name) for name in names]

    def _ask(self, name: str) -> httpx.Response:
        with self.server.client() as client:
            response: httpx.Response = client.put(f"/predictions/{name}", json={"input": {"name": name}})
            return response

    def ask_in_turn(self, running: str, waiting: str) -> None:
        """Have one run and one wait for the only slot."""
        self.ask(running)
        self.until(processing=1)
        self.ask(waiting)
        self.until(processing=1, starting=1)

    def until(self, **counts: int) -> None:
        """Wait until so many predictions have each status."""

        def has_come() -> bool:
            with self.server.client() as client:
                listed = client.get("/predictions").json()["results"]
            return Counter(each["status"] for each in listed) == counts

        wait_until(has_come)

    def release(self) -> None:
        """Let the predictions end."""
        (self.server.root / "gate").touch()

    @property
    def answers(self) -> dict[str, Any]:
        """What each client was told."""
        responses = [answer.result(30) for answer in self._answers]
        return {response.json()["id"]: response.json() for response in responses}

    @property
    def outputs(self) -> dict[str, Any]:
        return {name: answer["output"] for name, answer in self.answers.items()}

    @property
    def ledger(self) -> list[str]:
        return sorted((self.server.root / "ledger").read_text().split())


def begin_to_stop(server: Server) -> None:
    server.process.send_signal(signal.SIGTERM)
    server.wait_for(lambda line: line["event"].startswith("shutting down"))


def pids(server: Server) -> list[int]:
    return [line["pid"] for line in server.log if line["event"] == "worker ready"]


def test_a_drain_under_full_load_answers_all_that_was_accepted(start_server: StartServer) -> None:
    server = start_server(CODE, concurrency=2, queue={"max": 6})
    names = [f"p{number}" for number in range(8)]
    with ThreadPoolExecutor(20) as clients:
        load = Load(server, clients)
        load.ask(*names)
        load.until(processing=2, starting=6)
        begin_to_stop(server)
        with server.client() as late:
            refused = late.post("/predictions", json={"input": {"name": "late"}})
        load.release()

        assert load.outputs == {name: name for name in names}
    assert server.wait() == 0
    assert (refused.status_code, load.ledger) == (503, names)


def test_a_drain_while_another_worker_starts_does_not_wait_for_it(start_server: StartServer) -> None:
    server = start_server(CODE, workers={"min": 1, "max": 2}, scaling={"target_wait": "20ms"})
    (server.root / "hold-setup").touch()
    with ThreadPoolExecutor(20) as clients:
        load = Load(server, clients)
        load.ask("one", "two")
        wait_until((server.root / "begun-2").exists)
        begin_to_stop(server)
        load.release()

        assert load.outputs == {"one": "one", "two": "two"}
    assert server.wait() == 0


def test_a_drain_after_a_death_lets_the_replacement_run_what_waits(start_server: StartServer) -> None:
    server = start_server(CODE)
    (server.root / "hold-setup").touch()
    with ThreadPoolExecutor(20) as clients:
        load = Load(server, clients)
        load.ask_in_turn("lost", "kept")
        psutil.Process(pids(server)[0]).kill()
        wait_until((server.root / "begun-2").exists)
        begin_to_stop(server)
        load.release()
        (server.root / "hold-setup").unlink()
        answers = load.answers

    assert server.wait() == 0
    assert (answers["lost"]["status"], answers["kept"]["output"]) == ("failed", "kept")
    assert load.ledger == ["kept", "lost"]


def test_a_worker_that_dies_during_the_drain_is_replaced_for_what_waits(start_server: StartServer) -> None:
    server = start_server(CODE)
    with ThreadPoolExecutor(20) as clients:
        load = Load(server, clients)
        load.ask_in_turn("lost", "kept")
        begin_to_stop(server)
        psutil.Process(pids(server)[0]).kill()
        load.release()
        answers = load.answers

    assert server.wait() == 0
    assert (answers["lost"]["status"], answers["kept"]["output"]) == ("failed", "kept")
    assert "SIGKILL" in answers["lost"]["error"]


def test_what_no_worker_comes_for_is_canceled_when_the_grace_is_over(start_server: StartServer) -> None:
    server = start_server(CODE, shutdown_grace="1s")
    (server.root / "hold-setup").touch()
    with ThreadPoolExecutor(20) as clients:
        load = Load(server, clients)
        load.ask_in_turn("lost", "waits")
        psutil.Process(pids(server)[0]).kill()
        begin_to_stop(server)
        answers = load.answers

    assert server.wait() == 0
    assert answers["waits"]["status"] == "canceled"
    assert "shutting down" in answers["waits"]["error"]
    assert load.ledger == ["lost"]


def test_a_drain_during_a_reload_leaves_the_predictions_to_the_old_workers(start_server: StartServer) -> None:
    server = start_server(CODE, workers=2)
    wait_until(lambda: len(pids(server)) == 2)
    (server.root / "hold-setup").touch()
    with ThreadPoolExecutor(20) as clients:
        load = Load(server, clients)
        load.ask("one", "two", "three")
        load.until(processing=2, starting=1)
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: (server.root / "begun-3").exists() and (server.root / "begun-4").exists())
        begin_to_stop(server)
        load.release()

        assert load.outputs == {name: name for name in ("one", "two", "three")}
    assert server.wait() == 0
    assert load.ledger == ["one", "three", "two"]


def test_a_stopped_worker_does_not_hold_up_the_end(start_server: StartServer) -> None:
    server = start_server(CODE, shutdown_grace="500ms", cancel_grace="200ms")
    with ThreadPoolExecutor(20) as clients:
        load = Load(server, clients)
        load.ask("stopped")
        load.until(processing=1)
        psutil.Process(pids(server)[0]).suspend()
        begin_to_stop(server)
        answers = load.answers

    assert server.wait() == 0
    assert answers["stopped"]["status"] == "canceled"
