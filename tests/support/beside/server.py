"""One of the two servers, while it serves a project."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import httpx
from receiver import Post, Receiver

from beside.files import Files

__all__ = ["Server", "Side"]

Side = Literal["cog", "here"]

_DEADLINE_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 0.01


class Server:
    """A server process.

    Args:
        side: Whose it is.
        command: What starts it.
        root: The folder of the project, in which it runs.
        folder: Its own folder: its log, and what the model and a case tell each other by.
        port: Where it listens.
        environment: What it has beside this process's own.
        receiver: What takes its webhooks.
        files: Where it fetches files from, and puts them.
    """

    def __init__(
        self,
        side: Side,
        command: Sequence[str],
        *,
        root: Path,
        folder: Path,
        port: int,
        environment: Mapping[str, str],
        receiver: Receiver,
        files: Files,
    ) -> None:
        self.side = side
        self.folder = folder
        self.port = port
        self.receiver = receiver
        self.files = files
        self._log = folder / "log"
        folder.mkdir()
        own = {"PORT": str(port), "BESIDE_FOLDER": str(folder)}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SERVEKIT_", "COG_"))}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*_find_keeper(), *command],
                cwd=root,
                env={**inherited, **environment, **own},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # so that no worker outlives it
            )
        # Without TLS there is nothing to verify, and the certificates take 40 ms to load.
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=_DEADLINE_SECONDS, verify=False)

    # ------------------------------------------------------------------ asking

    def predict(self, values: Mapping[str, Any] | None = None, **envelope: Any) -> httpx.Response:
        """Ask for a prediction, and wait for its end.

        Args:
            values: The input.
            **envelope: What stands beside it.
        """
        return self.send({"input": dict(values or {}), **envelope})

    def send(self, body: Any, path: str = "/predictions", *, method: str = "POST", **headers: str) -> httpx.Response:
        """Send a body as JSON, when the slots of the predictions before are free again."""
        self.wait_until_idle()
        return self.client.request(method, path, json=body, headers=headers)

    def begin(self, name: str, values: Mapping[str, Any], **envelope: Any) -> None:
        """Begin a prediction with an id whose model leaves `NAME.begun`, and wait for that."""
        answer = self.send({"id": name, "input": dict(values), **envelope}, prefer="respond-async")
        assert answer.status_code == 202, answer.text
        self.wait_for(f"{name}.begun")

    def cancel(self, name: str) -> httpx.Response:
        """Cancel a prediction."""
        return self.client.post(f"/predictions/{name}/cancel")

    def health(self) -> dict[str, Any]:
        """Ask how it is."""
        answer: dict[str, Any] = self.client.get("/health-check").json()
        return answer

    # ------------------------------------------------------------------ the model

    def tell(self, name: str) -> None:
        """Leave a file for the model to find."""
        (self.folder / name).touch()

    def make_ready(self) -> None:
        """Let a setup that waits for it end."""
        self.tell("go")
        self.wait_for_setup()

    def untell(self, name: str) -> None:
        """Take it away."""
        (self.folder / name).unlink()

    def wait_for(self, name: str) -> None:
        """Wait until the model has left a file."""
        self.wait_until((self.folder / name).exists)

    # ------------------------------------------------------------------ webhooks

    def hook(self, name: str, *events: str) -> dict[str, Any]:
        """Return the part of a request that asks for webhooks to a path of this server's own."""
        hook: dict[str, Any] = {"webhook": f"{self.receiver.url}/{self.side}/{name}"}
        return hook | {"webhook_events_filter": list(events)} if events else hook

    def posts(self, name: str, count: int = 1) -> list[Post]:
        """Wait until so many webhooks came to the path, and return them."""
        return self.receiver.wait(self._path(name), lambda posts: len(posts) >= count)

    def posts_to_end(self, name: str) -> list[Post]:
        """Wait until the end of a prediction was told, and return what came till then."""
        over = ("succeeded", "failed", "canceled")
        return self.receiver.wait(
            self._path(name), lambda posts: any(each.prediction["status"] in over for each in posts)
        )

    def posts_of_all(self, name: str, *statuses: str) -> list[Post]:
        """Wait until each of the statuses was told, in whatever order, and return what came till then."""
        wanted = set(statuses)
        return self.receiver.wait(
            self._path(name), lambda posts: wanted <= {each.prediction["status"] for each in posts}
        )

    def posts_so_far(self, name: str) -> list[Post]:
        """Return what came to the path."""
        return self.receiver.at(self._path(name))

    def refuse_posts(self, name: str, *statuses: int) -> None:
        """Have the next webhooks to the path answered so."""
        self.receiver.answers[self._path(name)] += statuses

    def _path(self, name: str) -> str:
        return f"/{self.side}/{name}"

    # ------------------------------------------------------------------ waiting

    def wait_until_idle(self) -> None:
        """Wait until no prediction runs: Cog gives a slot back some time after its answer."""
        self.wait_until(lambda: self.health()["status"] != "BUSY")

    def wait_until_it_answers(self) -> None:
        """Wait until it can be asked, set up or not."""
        self.wait_until(lambda: self._find_status() is not None)

    def wait_for_setup(self) -> None:
        """Wait until the setup ended, well or not."""
        self.wait_until(lambda: self._find_status() not in (None, "UNKNOWN", "STARTING"))

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for what only looking tells."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while not condition():
            assert self._process.poll() is None, self._tail()
            assert time.monotonic() < deadline, self._tail()
            time.sleep(_LOOK_SECONDS)

    def _find_status(self) -> str | None:
        try:
            return str(self.health()["status"])
        except httpx.TransportError:
            return None

    def _tail(self) -> str:
        return self._log.read_text()[-3000:]

    # ------------------------------------------------------------------ ending

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.send_signal(signal.SIGTERM)

    def ends_within(self, seconds: float) -> bool:
        """Wait for the end for a while."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._process.poll() is not None

    def wait_for_end(self) -> int:
        """Wait for the end, and return the exit code."""
        return self._process.wait(_DEADLINE_SECONDS)

    def close(self) -> None:
        """End it with all of its processes, however it is."""
        self.client.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(_DEADLINE_SECONDS)


def _find_keeper() -> list[str]:
    """Return what has a command end with this process, should that be killed before it could `close` (util-linux)."""
    keeper = shutil.which("setpriv")
    return [keeper, "--pdeathsig", "KILL", "--"] if keeper else []
