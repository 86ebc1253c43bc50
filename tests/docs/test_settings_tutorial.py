"""The tutorial of settings and threads prints what it says."""

import ast
import asyncio
import contextlib
import inspect
import io
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from servekit import isolated_settings

TEXT = (Path(__file__).parents[2] / "docs/tutorial/settings-and-threads.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
SERVEKIT = str(Path(sysconfig.get_path("scripts")) / "servekit")


def files() -> dict[str, str]:
    """Return the Python blocks that say which file they are."""
    named = ((re.match(r"# (\w+\.py)\n", text), text) for language, text in BLOCKS if language == "python")
    return {found[1]: text for found, text in named if found is not None}


def printed_after(beginning: str) -> str:
    """Return what the tutorial shows below a block."""
    at = next(index for index, (_, text) in enumerate(BLOCKS) if text.startswith(beginning))
    return next(text for language, text in BLOCKS[at:] if language == "text")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in files().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "servekit.yaml").write_text(next(text for kind, text in BLOCKS if kind == "yaml"), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("script", ["threads.py", "tasks.py", "generators.py", "visit.py"])
def test_script_prints_what_the_tutorial_says(project: Path, script: str) -> None:
    done = subprocess.run([sys.executable, script], cwd=project, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout == printed_after(f"# {script}")


def test_command_prints_what_the_tutorial_says(project: Path) -> None:
    command = next(text for kind, text in BLOCKS if kind == "console").splitlines()[2]
    arguments = command.removeprefix("$ servekit ").split()

    done = subprocess.run([SERVEKIT, *arguments], cwd=project, capture_output=True, text=True, check=False)

    assert done.stdout == "model: hello at 0.2\n", done.stderr


def test_cells_of_the_notebook_print_what_the_tutorial_says() -> None:
    cells = [text for kind, text in BLOCKS if kind == "python" and text.startswith("# cell")]
    namespace: dict[str, Any] = {"__name__": "__main__"}

    async def run_cells() -> None:
        for cell in cells:
            code = compile(cell, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            made: Any = eval(code, namespace)
            if inspect.isawaitable(made):
                await made

    with isolated_settings(), contextlib.redirect_stdout(io.StringIO()) as printed:
        asyncio.run(run_cells())

    assert printed.getvalue() == printed_after("# cell 3")
