"""Images of small models for tests of containers, made without `servekit build`, and commands that run them.

What an image has that servekit builds, as far as a container is concerned: the runtime, a project in
/app, a user, an init process and the labels. The layer below the projects is built once.
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import textwrap
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final, Self

from servekit.spec import load_spec
from servekit_cli.container.ownership import OWNER
from servekit_cli.engine import BuildRequest, BuildSecret, Engine, build_image, make_view
from servekit_cli.environment.requirements import read_server_requirements
from servekit_cli.image.wheel import OwnSource, find_own_source

__all__ = ["SECONDS", "Command", "MakeModelImage"]

SECONDS: Final = 60
SERVEKIT: Final = str(Path(sysconfig.get_path("scripts")) / "servekit")

_RUNTIME: Final = f"""
FROM python:3.12-slim AS init
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends tini

FROM python:3.12-slim
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 SERVEKIT_LOG_FORMAT=json HOME=/home/servekit
RUN useradd --uid 10001 --create-home servekit
RUN --mount=type=secret,id=ca --mount=type=cache,target=/root/.cache [ ! -s /run/secrets/ca ] || export \
    PIP_CERT=/run/secrets/ca; pip install --quiet {shlex.join(read_server_requirements())}
COPY --from=init /usr/bin/tini /usr/bin/tini
RUN --mount=type=bind,source=.,target=/context pip install --quiet --no-deps /context/*.whl \
    && PYTHONDONTWRITEBYTECODE= python -c "import servekit.server.rest, servekit.server.run, servekit.server.web"
WORKDIR /app
USER 10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/tini", "--"]
CMD ["python", "-m", "servekit.server"]
"""


class MakeModelImage:
    """Makes images of models, whose containers are known by the labels of the session.

    Args:
        engine: Where they are made.
        labels: What each image, and so each container of it, is known by.
        folder: A folder for contexts.

    Attributes:
        runtime: The name of the image below them, which has the runtime and no project.
    """

    def __init__(self, engine: Engine, labels: Mapping[str, str], folder: Path) -> None:
        self._engine = engine
        self._labels = dict(labels)
        self._folder = folder
        self.runtime: Final = self._build_runtime()

    def __call__(self, code: str, *, spec: str = "", name: str | None = None, **labels: str) -> str:
        """Make an image from the code of its predict.py, and return its name.

        Args:
            code: The code.
            spec: What servekit.yaml has beside the predictor.
            name: The name; a new one if not given.
            **labels: More labels, by their last part: `gpu="true"`.
        """
        context = self._folder / uuid.uuid4().hex
        project = context / "app"
        project.mkdir(parents=True)
        (project / "predict.py").write_text(textwrap.dedent(code))
        (project / "servekit.yaml").write_text(f"predictor: predict.py:Predictor\n{spec}")
        (context / "Dockerfile").write_text(f"FROM {self.runtime}\nCOPY app /app\n")
        name = name or f"servekit-test/{uuid.uuid4().hex[:12]}"
        self._build(context, name, {**_describe(project), **{f"dev.servekit.{key}": labels[key] for key in labels}})
        return name

    def _build_runtime(self) -> str:
        context = self._folder / "runtime"
        context.mkdir()
        OwnSource(find_own_source().version, "servekit-0.1.0-py3-none-any.whl").write_wheel(context)
        (context / "Dockerfile").write_text(_RUNTIME)
        name = f"servekit-test/runtime-{uuid.uuid4().hex[:12]}"
        self._build(context, name, {})
        return name

    def _build(self, context: Path, name: str, labels: Mapping[str, str]) -> None:
        bundle = os.environ.get("SSL_CERT_FILE") or os.environ.get("PIP_CERT") or os.devnull
        secret = BuildSecret("ca", Path(bundle)) if Path(bundle).is_file() else BuildSecret("ca", value="")
        request = BuildRequest(context, tags=(name,), labels={**self._labels, **labels}, secrets=(secret,))
        build_image(self._engine, request, make_view("quiet"))
        shutil.rmtree(context)


def _describe(project: Path) -> dict[str, str]:
    command = [sys.executable, "-m", "servekit.server.describe", "--spec", str(project)]
    described = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=SECONDS).stdout)
    return {
        "dev.servekit.schema": json.dumps(described["schema"]),
        "dev.servekit.spec": load_spec(project).model_dump_json(exclude={"path"}),
        "dev.servekit.gpu": "false",
    }


class Command:
    """A `servekit` command that runs, and what it prints as it comes. Use it as a context manager."""

    def __init__(self, *arguments: str, **variables: str) -> None:
        environ = {key: value for key, value in os.environ.items() if not key.startswith("SERVEKIT_")}
        self._command = [SERVEKIT, *arguments]
        self._environ = {**environ, **variables}
        self.stderr = ""
        self.stdout = ""
        self._news = threading.Condition()

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._command, env=self._environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._threads = [
            threading.Thread(target=self._read, args=(self.process.stdout, "stdout")),
            threading.Thread(target=self._read, args=(self.process.stderr, "stderr")),
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait()

    def wait_for(self, text: str, stream: str = "stderr") -> None:
        """Wait until a text has been printed."""
        with self._news:
            found = self._news.wait_for(
                lambda: text in getattr(self, stream) or self.process.poll() is not None, SECONDS
            )
        assert found, f"no {text!r}: {self.stderr}"
        assert text in getattr(self, stream), self.stderr

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait for the end, and return the exit code."""
        code = self.process.wait(SECONDS)
        for thread in self._threads:
            thread.join(SECONDS)
        return code

    def containers(self, engine: Engine) -> list[str]:
        """List the containers that belong to it, running or not."""
        found = engine.client.containers.list(all=True, ignore_removed=True, filters={"label": OWNER})
        return [str(each.name) for each in found if each.labels[OWNER].startswith(f"{self.process.pid}.")]

    def _read(self, stream: IO[str], name: str) -> None:
        with stream:
            while piece := stream.read(1):
                with self._news:
                    setattr(self, name, getattr(self, name) + piece)
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()
