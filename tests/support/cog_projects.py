"""Cog projects for tests that run them."""

import sys
import textwrap
from pathlib import Path

from servekit.spec import Spec, load_spec

__all__ = ["write_cog_project"]

_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def write_cog_project(root: Path, code: str, *, slots: int = 1) -> Spec:
    """Write run.py with the given code and a cog.yaml that names its `Runner`, and load that."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "run.py").write_text(textwrap.dedent(code))
    concurrency = f"concurrency:\n  max: {slots}\n" if slots > 1 else ""
    (root / "cog.yaml").write_text(f'build:\n  python_version: "{_PYTHON}"\nrun: run.py:Runner\n{concurrency}')
    return load_spec(root)
