"""The site builds without a warning, and nothing that a user can write or meet is missing from it."""

import html
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import pytest

import servekit
from servekit import errors
from servekit.spec import SpecFile
from servekit.spec.overrides import list_settings
from servekit.spec.section import Section
from servekit_cli.border import EXIT_CODES
from servekit_cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
SERVEKIT = str(Path(sysconfig.get_path("scripts")) / "servekit")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site; in a process of its own, because Sphinx changes the one it runs in."""
    target = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "--fail-on-warning", "--quiet", "--builder", "html", ROOT / "docs", target],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return target


def read(site: Path, page: str) -> str:
    """Give the text of a page."""
    return html.unescape(re.sub(r"<[^>]+>", "", (site / f"{page}.html").read_text(encoding="utf-8")))


def find_missing(names: Iterable[str], page: str) -> list[str]:
    return [name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", page)]


def list_fields(model: type[Section]) -> list[str]:
    fields: list[str] = []
    for name, field in model.model_fields.items():
        fields.append(name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            fields += list_fields(field.annotation)
    return fields


def test_every_exported_name_is_described(site: Path) -> None:
    page = read(site, "reference/python")

    assert find_missing((f"servekit.{name}" for name in servekit.__all__), page) == []


def test_every_field_of_the_spec_is_described(site: Path) -> None:
    page = read(site, "reference/spec")

    assert find_missing(list_fields(SpecFile), page) == []


def test_every_variable_and_flag_of_a_setting_is_described(site: Path) -> None:
    page = read(site, "reference/environment")
    names = [name for setting in list_settings() for name in (*setting.variables, setting.flag)]

    assert len(names) > 40
    assert find_missing(names, page) == []


def test_every_variable_that_the_code_names_is_described(site: Path) -> None:
    page = read(site, "reference/environment")
    sources = [path for package in ("servekit", "cli", "templates") for path in (ROOT / package).rglob("*.py")]
    # A docstring may show the variable of a setting; so may a prefix that ends in "_".
    names = {name for path in sources for name in re.findall(r"\bSERVEKIT_[A-Z_]*[A-Z]\b", path.read_text("utf-8"))}

    assert names
    assert find_missing(sorted(names), page) == []


@pytest.mark.parametrize("command", [name for name, *_ in COMMANDS])
def test_every_option_of_a_command_is_described(site: Path, command: str) -> None:
    page = read(site, "reference/cli")
    done = subprocess.run([SERVEKIT, command, "--help"], capture_output=True, text=True, check=True)
    options = set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", done.stdout, flags=re.MULTILINE)) - {"--help"}

    assert f"servekit {command}" in page
    assert options
    assert find_missing(sorted(options), page) == []


def test_every_exit_code_is_described(site: Path) -> None:
    page = read(site, "reference/errors")

    assert [meaning for meaning in EXIT_CODES.values() if meaning not in page] == []


def test_every_error_is_described(site: Path) -> None:
    page = read(site, "reference/errors")
    names = [name for name in errors.__all__ if issubclass(getattr(errors, name), errors.ServekitError)]

    assert find_missing(names, page) == []


def test_every_page_is_in_a_table_of_contents() -> None:
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    pages = [path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").glob("[!_]*/*.md")]

    assert len(pages) > 15
    assert [str(page) for page in pages if f"\n{page}\n" not in index] == []
