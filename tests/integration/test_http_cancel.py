"""What a cancel does to code that does not want to stop: it is asked, and its worker is replaced if that is in vain."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Server, StartServer, wait_until

PROJECT = Path(__file__).parents[1] / "projects" / "stubborn"


@pytest.fixture(scope="module")
def servers(start_server: StartServer) -> dict[str, Server]:
    """Servers of the kinds of predictors, started beside each other."""
    limits: dict[str, Any] = {"cancel_grace": "300ms", "hang_timeout": "2s", "concurrency": 2}
    servers = {
        kind: start_server((PROJECT / f"{kind}.py").read_text(), predictor="predict.py:predict", ready=False, **limits)
        for kind in ("function", "generator", "task")
    }
    for server in servers.values():
        server.wait_until_ready()
    return servers


@pytest.fixture
def server(servers: dict[str, Server], request: pytest.FixtureRequest) -> Iterator[Server]:
    server = servers[request.param]
    (server.root / "gate").unlink(missing_ok=True)
    yield server
    (server.root / "gate").touch()


class Caller:
    """A client that lets predictions run and asks how they are."""

    def __init__(self, client: httpx.Client, root: Path) -> None:
        self._client = client
        self._root = root

    def begin(self, how: str) -> str:
        """Start a prediction, wait until its code runs, and return its id."""
        sign = self._root / f"begun-{how}"
        sign.unlink(missing_ok=True)
        answer = self._client.post("/predictions", json={"input": {"how": how}}, headers={"Prefer": "respond-async"})
        wait_until(sign.exists)
        name: str = answer.json()["id"]
        return name

    def cancel(self, name: str) -> dict[str, Any]:
        self._client.post(f"/predictions/{name}/cancel")
        return self.end(name)

    def end(self, name: str) -> dict[str, Any]:
        """Wait for a prediction's end."""
        wait_until(lambda: self.look(name)["completed_at"] is not None)
        return self.look(name)

    def look(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._client.get(f"/predictions/{name}").json()
        return found

    def ask_worker(self) -> object:
        """Return the process that runs predictions now."""
        return self._client.post("/predictions", json={"input": {}}).json()["output"]


CASES = [
    # who, how, whether it stops when asked, whether others on its worker can go on
    ("function", "busy_loop", True, True),
    ("function", "time_sleep", False, True),
    ("function", "blocking_read", False, True),
    ("function", "c_without_the_gil", False, True),
    ("function", "c_with_the_gil", False, False),
    ("function", "swallows_the_cancellation", False, True),
    ("generator", "ignores_close", True, True),
    ("task", "shields_itself", False, True),
]


@pytest.mark.parametrize(
    ("server", "how", "stops", "spares"), CASES, ids=[case[1] for case in CASES], indirect=["server"]
)
def test_a_cancel_ends_it_frees_the_slot_and_spares_the_neighbour(
    server: Server, how: str, *, stops: bool, spares: bool
) -> None:
    with server.client() as client:
        caller = Caller(client, server.root)
        neighbour = caller.begin("neighbour")
        stubborn = caller.begin(how)

        canceled = caller.cancel(stubborn)
        (server.root / "gate").touch()
        spared = caller.end(neighbour)
        pid_after = caller.ask_worker()

    assert (canceled["status"], canceled["error"]) == ("canceled", "canceled: a client asked for it")
    if spares:
        assert spared["status"] == "succeeded"
        assert (spared["output"] == pid_after) == stops
    else:
        assert (spared["status"], "(serve.hang_timeout is 2 s)" in spared["error"]) == ("failed", True)
