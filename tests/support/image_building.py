"""Projects that `servekit build` makes images of, as a user would, and containers of these."""

import json
import os
import subprocess
import sysconfig
import textwrap
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from servekit_cli.engine import Engine

__all__ = ["SECONDS", "Builder", "Container"]

SECONDS: Final = 60
_SERVEKIT: Final = str(Path(sysconfig.get_path("scripts")) / "servekit")
_BUILD_SECONDS: Final = 300


class Container:
    """A running container of an image, with its server's address."""

    def __init__(self, container: Any, url: str) -> None:
        self.docker: Final = container
        self.url: Final = url

    def wait_until_ready(self) -> None:
        """Wait until the model is set up."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            try:
                if self.get("/readyz")[0] == 200:
                    return
            except OSError:
                pass  # not listening yet
            time.sleep(0.02)
        raise AssertionError(f"not ready: {self.logs()}")

    def get(self, path: str) -> tuple[int, bytes]:
        """Ask for a path."""
        return _open(urllib.request.Request(self.url + path))

    def predict(self, accept: str = "application/json", **inputs: object) -> bytes:
        """Make a prediction; return the body of the answer."""
        body = json.dumps({"input": inputs}).encode()
        headers = {"Content-Type": "application/json", "Accept": accept}
        status, answer = _open(urllib.request.Request(f"{self.url}/predictions", body, headers))
        assert status == 200, answer
        return answer

    def run(self, *command: str) -> str:
        """Run a command in it; return what it printed."""
        code, output = self.docker.exec_run(list(command))
        assert code == 0, output
        return str(output.decode())

    def logs(self) -> str:
        """Return what it printed until now."""
        return str(self.docker.logs().decode("utf-8", "replace"))


def _open(request: urllib.request.Request) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


class Builder:
    """Writes projects and builds them with the command line; what it made is removed by `close`.

    Args:
        engine: Where images are built.
        folder: For the projects and the command's cache.

    Attributes:
        cache: The folder of the command's cache.
    """

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.cache: Final = folder / "cache"
        self._engine = engine
        self._folder = folder
        self._names: list[str] = []

    def write(self, code: str, spec: str = "", **files: str) -> Path:
        """Write a project, and return its folder."""
        project = self._folder / f"project-{uuid.uuid4().hex[:8]}"
        project.mkdir()
        (project / "predict.py").write_text(textwrap.dedent(code))
        (project / "servekit.yaml").write_text("predictor: predict.py:predict\n" + textwrap.dedent(spec))
        for name, text in files.items():
            (project / name).write_text(text)
        return project

    def new_name(self) -> str:
        """Make up a name for an image, which is removed in the end."""
        self._names.append(f"servekit-test/{uuid.uuid4().hex[:12]}")
        return self._names[-1]

    def run(self, *arguments: str, path: str | None = None, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run `servekit` to its end.

        Args:
            arguments: Of the command.
            path: The search path, to hide programs from it.
            variables: More variables.
        """
        environ = {key: value for key, value in os.environ.items() if not key.startswith("SERVEKIT_")}
        environ |= {"SERVEKIT_CACHE_DIR": str(self.cache), **variables}
        if path is not None:
            environ["PATH"] = path
        return subprocess.run(
            [_SERVEKIT, *arguments], env=environ, capture_output=True, text=True, check=False, timeout=_BUILD_SECONDS
        )

    def build(self, project: Path, *arguments: str, name: str | None = None, **more: Any) -> str:
        """Build a project's image, and return its name."""
        name = name or self.new_name()
        done = self.run("build", "--file", str(project), "--tag", name, *arguments, **more)
        assert done.returncode == 0, done.stderr
        return name

    def fail(self, project: Path, *arguments: str, **more: Any) -> "subprocess.CompletedProcess[str]":
        """Build a project that cannot be built; make sure that no image came of it."""
        name = self.new_name()
        done = self.run("build", "--file", str(project), "--tag", name, *arguments, **more)
        assert done.returncode != 0, done.stderr
        assert "Traceback (most recent call last)" not in done.stderr or "predict.py" in done.stderr
        assert not self._engine.client.images.list(name)
        return done

    @contextmanager
    def start(self, image: str, *command: str, **options: Any) -> Generator[Container]:
        """Run a container of an image for as long as the block lasts."""
        create: Any = self._engine.client.containers.create
        container = create(image, list(command) or None, ports={"5000/tcp": ("127.0.0.1", None)}, **options)
        try:
            container.start()
            container.reload()
            ports = container.ports.get("5000/tcp") or [{"HostPort": "0"}]
            yield Container(container, f"http://127.0.0.1:{ports[0]['HostPort']}")
        finally:
            container.remove(force=True, v=True)

    def layers(self, image: str) -> list[str]:
        """Return the digests of an image's layers, lowest first."""
        return list(self._engine.client.images.get(image).attrs["RootFS"]["Layers"])

    def labels(self, image: str) -> dict[str, str]:
        """Return the labels of an image."""
        return dict(self._engine.client.images.get(image).labels)

    def rename(self, image: str, name: str) -> str:
        """Give an image one more name, which is removed in the end."""
        self._names.append(name)
        assert self._engine.client.images.get(image).tag(name)
        return name

    def remove(self, name: str) -> None:
        """Remove an image, if it is there."""
        for image in self._engine.client.images.list(name):
            for tag in image.tags:
                if tag.rpartition(":")[0] == name:
                    self._engine.client.images.remove(tag, force=True)

    def close(self) -> None:
        """Remove the images."""
        for name in self._names:
            self.remove(name)
