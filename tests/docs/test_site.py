"""The site builds without a warning, and nothing that a user can write or meet is missing from it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from servekit_cli.main import app

import servekit
from servekit import errors
from servekit.spec import SpecFile
from servekit.spec.overrides import list_settings
from servekit.spec.section import Section

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as text; a process of its own, because Sphinx changes the one it runs in."""
    target = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "--fail-on-warning", "--quiet", "--builder", "text", ROOT / "docs", target],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return target


def read(site: Path, page: str) -> str:
    # Tables wrap their cells; names never do, because they have no blanks.
    return (site / f"{page}.txt").read_text(encoding="utf-8")


def list_fields(model: type[Section]) -> list[str]:
    fields: list[str] = []
    for name, field in model.model_fields.items():
        fields.append(name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            fields += list_fields(field.annotation)
    return fields


def test_every_exported_name_is_described(site: Path) -> None:
    page = read(site, "reference/python")

    assert [name for name in servekit.__all__ if f"servekit.{name}" not in page] == []


def test_every_field_of_the_spec_is_described(site: Path) -> None:
    page = read(site, "reference/spec")

    assert [name for name in list_fields(SpecFile) if f'"{name}"' not in page] == []


def test_every_variable_and_flag_of_a_setting_is_described(site: Path) -> None:
    page = read(site, "reference/environment")
    names = [name for setting in list_settings() for name in (*setting.variables, setting.flag)]

    assert len(names) > 40
    assert [name for name in names if f'"{name}"' not in page] == []


def test_every_variable_that_the_code_names_is_described(site: Path) -> None:
    page = read(site, "reference/environment")
    sources = [path for package in ("servekit", "cli", "templates") for path in (ROOT / package).rglob("*.py")]
    # A docstring may show the variable of a setting; so may a prefix that ends in "_".
    names = {name for path in sources for name in re.findall(r"\bSERVEKIT_[A-Z_]*[A-Z]\b", path.read_text("utf-8"))}

    assert names
    assert sorted(name for name in names if f'"{name}"' not in page) == []


def test_every_command_and_option_is_described(site: Path) -> None:
    page = read(site, "reference/cli")
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    options = [
        option
        for command in group.commands.values()
        for parameter in command.params
        if parameter.param_type_name == "option"
        for option in parameter.opts
    ]

    assert [name for name in group.commands if f"servekit {name}" not in page] == []
    assert len(options) > 10
    assert [option for option in options if option not in page] == []


def test_every_error_and_exit_code_is_described(site: Path) -> None:
    page = read(site, "reference/errors")
    kinds = [getattr(errors, name) for name in errors.__all__]

    missing = [kind.__name__ for kind in kinds if issubclass(kind, errors.ServekitError) and kind.__name__ not in page]
    assert missing == []


def test_every_page_is_in_a_table_of_contents() -> None:
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    pages = [path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").glob("[!_]*/*.md")]

    assert len(pages) > 15
    assert [str(page) for page in pages if f"\n{page}\n" not in index] == []
