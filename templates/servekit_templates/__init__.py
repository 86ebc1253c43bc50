"""Texts that servekit writes for its users."""

from importlib.resources import files
from typing import Final

__all__ = ["PROJECTS", "read_project", "read_text"]

PROJECTS: Final = ("hello", "stream", "async")
"""The projects that `servekit init` can make."""

_FILES: Final = ("servekit.yaml", "predict.py", "README.md")


def read_project(name: str) -> dict[str, str]:
    """Read the files of a new project: name of the file, and its text with `{{ name }}` where the project's goes."""
    folder = files(__name__) / "projects" / name
    return {file: (folder / file).read_text(encoding="utf-8") for file in _FILES}


def read_text(name: str) -> str:
    """Read one of the texts beside this module, such as `Dockerfile.jinja` or `batch_report.html.jinja`."""
    return (files(__name__) / name).read_text(encoding="utf-8")
