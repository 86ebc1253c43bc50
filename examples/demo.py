"""What `make demo` shows: a real model on a real file, then a stream over HTTP.

Needs nothing but the standard library and an installed servekit.
"""

import json
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

EXAMPLES = Path(__file__).parent
SERVEKIT = str(Path(sysconfig.get_path("scripts")) / "servekit")
START_SECONDS = 60


def main() -> None:
    """Run both halves of the demo; exits with the status of what failed."""
    say("1. A real model, run locally: what kind of file is examples/filetype/mystery?")
    say("   (the first run makes an environment that holds the model, later ones use it again)")
    command = [SERVEKIT, "predict", "-i", "file=@mystery"]
    say(f"   $ cd examples/filetype && servekit {' '.join(command[1:])}\n")
    if status := subprocess.run(command, cwd=EXAMPLES / "filetype", check=False).returncode:
        sys.exit(status)

    say("\n2. A text generator, served over HTTP, streams its words as they come:")
    with run_server(EXAMPLES / "text-stream") as url:
        stream(f"{url}/predictions", {"input": {"prompt": "Alice was", "max_tokens": 12, "delay": 0.1}})

    say("\nBoth worked. Next: examples/hello/README.md, and docs/tutorial/first-model.md.")


@contextmanager
def run_server(project: Path) -> Generator[str]:
    """Serve a project on a free port, and stop the server at the end.

    Yields:
        The server's URL, once it is ready.
    """
    url = f"http://127.0.0.1:{find_free_port()}"
    command = [SERVEKIT, "serve", "--host", "127.0.0.1", "--port", url.rpartition(":")[2]]
    say(f"   $ cd examples/{project.name} && servekit {' '.join(command[1:])}")
    with subprocess.Popen(command, cwd=project, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as server:
        try:
            wait_until_ready(url, server)
            yield url
        finally:
            server.terminate()
            _, log = server.communicate(timeout=START_SECONDS)
            if server.returncode:
                sys.stderr.write(log.decode(errors="replace"))


def find_free_port() -> int:
    """Return a port that nothing listens on."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_until_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until the model is set up; exits when the server ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):  # noqa: S310 - our own server
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    sys.exit("the server did not become ready")


def stream(url: str, body: object) -> None:
    """Post a prediction and show its events as they come; with curl if it is there, as anyone would try it."""
    headers = {"Accept": "text/event-stream", "Content-Type": "application/json"}
    data = json.dumps(body)
    if curl := shutil.which("curl"):
        options = [option for name, value in headers.items() for option in ("-H", f"{name}: {value}")]
        shown = " ".join(f"'{option}'" if option != "-H" else option for option in options)
        say(f"   $ curl -N {url} {shown} -d '{data}'\n")
        subprocess.run([curl, "-sSfN", url, *options, "-d", data], check=True)
        return
    request = urllib.request.Request(url, data.encode(), headers)  # noqa: S310 - our own server
    with urllib.request.urlopen(request, timeout=START_SECONDS) as response:  # noqa: S310 - our own server
        for line in response:
            sys.stdout.write(line.decode())
            sys.stdout.flush()


def say(text: str) -> None:
    """Print a line before what a child process prints."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
