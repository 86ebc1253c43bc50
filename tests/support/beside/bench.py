"""Starts both servers for a project, and asks both at the same time."""

import contextlib
import json
import os
import random
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from receiver import Receiver

from beside.case import Case
from beside.files import Files
from beside.project import Project
from beside.server import Server, Side
from servekit.compat.importing import add_cog_to_environment

__all__ = ["COG_FOLDER", "Bench"]

COG_FOLDER: Final = Path("/tmp/coglet")
"""Where Cog keeps files of predictions, which it never removes."""

_SIDES: Final[tuple[Side, Side]] = ("cog", "here")
_ARGUMENTS: Final = ("-m", "cog.server.http", "--host=127.0.0.1")
_ALLOWANCES: Final = {"SERVEKIT_WEBHOOK_ALLOW_PRIVATE": "true", "SERVEKIT_FETCH_ALLOW_PRIVATE": "true"}
"""The receivers of the cases are on this machine, where servekit sends nothing unless it is told to."""


class Bench:
    """Both servers of the project whose cases are asked; those of the one before are ended.

    Args:
        cog_python: The Python that has Cog's packages.
        folder: Where the projects are written.
        receiver: What takes webhooks.
        files: What gives files, and takes uploads.
    """

    def __init__(self, cog_python: Path, folder: Path, receiver: Receiver, files: Files) -> None:
        self._cog_python = cog_python
        self._folder = folder
        self._receiver = receiver
        self._files = files
        self._project: Project | None = None
        self._servers: Mapping[Side, Server] = {}
        self._running = ExitStack()
        self._threads = ThreadPoolExecutor(len(_SIDES))
        self._strangers = _list_cog_files()

    def ask(self, case: Case) -> dict[Side, Any]:
        """Ask both servers, and return what each answered."""
        servers = self._serve(case.project)

        def ask(side: Side) -> Any:
            try:
                return case.ask(servers[side])
            except BaseException as error:
                error.add_note(f"while the server of {side!r} was asked")
                raise

        return self._on_both(ask)

    def close(self) -> None:
        """End all servers, and remove what Cog's left behind."""
        self._end_servers()
        self._threads.shutdown()
        for name in _list_cog_files() - self._strangers:
            shutil.rmtree(name, ignore_errors=True)  # one may be in another

    def _on_both(self, do: Callable[[Side], Any]) -> dict[Side, Any]:
        return dict(zip(_SIDES, self._threads.map(do, _SIDES), strict=True))

    def _serve(self, project: Project) -> Mapping[Side, Server]:
        if self._project is not project:
            self._end_servers()
            self._servers = self._start_servers(project)
            self._project = project
        return self._servers

    def _end_servers(self) -> None:
        self._project = None
        self._running.close()

    def _start_servers(self, project: Project) -> Mapping[Side, Server]:
        root = Path(tempfile.mkdtemp(prefix=f"{project.name}-", dir=self._folder)) / "project"
        project.write(root)
        here = self._start_here(project, root)
        if project.is_ready:
            here.wait_for_setup()
            _give_schema(root, here)
        cog = self._start_cog(project, root)
        if project.is_ready:
            cog.wait_for_setup()
        return {"cog": cog, "here": here}

    def _start_here(self, project: Project, root: Path) -> Server:
        environment = {**add_cog_to_environment({}), **({} if project.is_guarded else _ALLOWANCES)}
        return self._start("here", sys.executable, project, root, environment)

    def _start_cog(self, project: Project, root: Path) -> Server:
        # With the variables of an image. Its worker is started as `python`.
        environment = {
            "PATH": f"{self._cog_python.parent}:/usr/bin:/bin",
            "COG_PREDICT_TYPE_STUB": "run.py:Runner",
            "COG_TRAIN_TYPE_STUB": "run.py:train",
            "COG_MAX_CONCURRENCY": str(project.slots),
        }
        return self._start("cog", str(self._cog_python), project, root, environment)

    def _start(self, side: Side, python: str, project: Project, root: Path, environment: dict[str, str]) -> Server:
        arguments = [each.format(files=f"{self._files.url}/{side}") for each in project.arguments]
        server = Server(
            side,
            [python, *_ARGUMENTS, *arguments],
            root=root,
            folder=root.with_name(side),
            port=_find_port(),
            environment=environment | dict(project.environment),
            receiver=self._receiver,
            files=self._files,
        )
        self._running.callback(server.close)
        return server


def _give_schema(root: Path, here: Server) -> None:
    """Give Cog's server the schema that its command line would have put into the image."""
    (root / ".cog").mkdir()
    (root / ".cog/openapi_schema.json").write_text(json.dumps(here.client.get("/openapi.json").json()))


def _find_port() -> int:
    """Return a port that is free: Cog's server does not say which one it took.

    It is none of those that the kernel gives to clients, of which one could take it before the server does.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _list_cog_files() -> set[str]:
    return {*_list_folder(COG_FOLDER), *_list_folder(COG_FOLDER / "predictions")}


def _list_folder(folder: Path) -> list[str]:
    """Return what is in a folder; not as paths, since servers of others may have left a hundred thousand."""
    if not folder.exists():
        return []
    with os.scandir(folder) as entries:
        return [entry.path for entry in entries]
