"""The reference can be read as committed, and says what the code says."""

import subprocess
import sys
from pathlib import Path

from servekit_cli.scaffold import SCHEMA_PATH

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs/_ext/write_reference.py"
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs/reference").glob("*.md")}


def test_the_reference_says_what_the_code_says() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_no_page_of_the_reference_needs_the_site_to_be_read() -> None:
    assert [name for name, text in PAGES.items() if "```{" in text] == []


def test_the_committed_pages_hold_fields_options_codes_and_arguments() -> None:
    assert "| `python_version` |" in PAGES["spec"]
    assert "| `SERVEKIT_QUEUE_MAX` | `--queue-max` |" in PAGES["spec"]
    assert "`SERVEKIT_QUEUE_MAX`" in PAGES["environment"]
    assert "## servekit predict" in PAGES["cli"]
    assert "| 5 | setup failed |" in PAGES["errors"]
    assert "| `regex` |" in PAGES["python"]


def test_editors_are_pointed_at_the_schema_that_init_writes() -> None:
    assert f"$schema={SCHEMA_PATH.as_posix()}\n" in PAGES["spec"]
