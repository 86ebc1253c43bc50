"""Cog projects for tests that run them."""

import sys
import textwrap
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from serving import Server

from servekit.compat.importing import add_cog_to_environment
from servekit.spec import Spec, load_spec

__all__ = ["run_cog_program", "serve_cog_project", "write_cog_project"]

_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def write_cog_project(root: Path, code: str, *, slots: int = 1) -> Spec:
    """Write run.py with the given code and a cog.yaml that names its `Runner`, and load that."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "run.py").write_text(textwrap.dedent(code))
    concurrency = f"concurrency:\n  max: {slots}\n" if slots > 1 else ""
    (root / "cog.yaml").write_text(f'build:\n  python_version: "{_PYTHON}"\nrun: run.py:Runner\n{concurrency}')
    return load_spec(root)


@contextmanager
def serve_cog_project(root: Path, code: str, **environment: str) -> Generator[Server]:
    """Serve a project of the given code with these variables set; the caller waits until it is ready."""
    write_cog_project(root, code)
    variables = [f"{name}={value}" for name, value in environment.items()]
    program = [sys.executable, "-P", "-m", "servekit.server", f"--spec={root}", "--host=127.0.0.1", "--port=0"]
    server = Server(root, "env", *variables, *program)
    with closing(server):
        yield server


@contextmanager
def run_cog_program(root: Path, arguments: str = "", **environment: str) -> Generator[Server]:
    """Serve a project the way Cog's users do, by `python -m cog.server.http`, and wait until it is ready."""
    variables = [f"{name}={value}" for name, value in add_cog_to_environment({"PORT": "0", **environment}).items()]
    program = f"cd {root} && exec {sys.executable} -m cog.server.http --host 127.0.0.1 {arguments}"
    with closing(Server(root, "env", *variables, "sh", "-c", program)) as server:
        server.wait_until_ready()
        yield server
