import importlib
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from servekit import errors
from servekit.spec import list_settings
from servekit_cli.border import EXIT_CODES
from servekit_cli.main import COMMANDS

SERVEKIT = str(Path(sysconfig.get_path("scripts")) / "servekit")


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([SERVEKIT, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("name", "module", "sentence"), COMMANDS)
def test_the_overview_says_of_a_command_what_its_own_help_says(name: str, module: str, sentence: str) -> None:
    own_help = importlib.import_module(module).run.__doc__

    assert own_help.partition("\n")[0] == sentence, name


@pytest.mark.parametrize("name", [name for name, _, _ in COMMANDS])
def test_every_command_has_help(name: str) -> None:
    done = run(name, "--help")

    assert done.returncode == 0, done.stderr
    assert f"Usage: servekit {name}" in done.stdout


def test_help_loads_nothing_that_only_a_command_needs() -> None:
    script = (
        "import sys; sys.argv[1:] = ['--help']\n"
        "from servekit_cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'pydantic', 'yaml', 'rich', 'fastapi', 'uv', 'docker', 'jinja2', 'msgspec', 'asyncio'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_help_names_every_exit_code_of_an_error() -> None:
    codes = {
        value.exit_code for name in errors.__all__ if issubclass(value := getattr(errors, name), errors.ServekitError)
    }

    assert codes <= EXIT_CODES.keys()


def test_exit_codes_stand_in_the_help() -> None:
    text = " ".join(run("--help").stdout.split())

    assert all(f"{code} {meaning}" in text for code, meaning in EXIT_CODES.items())


def test_serve_has_a_flag_for_every_field() -> None:
    flags = set(re.findall(r"--[a-z-]+", run("serve", "--help").stdout))

    assert {setting.flag for setting in list_settings()} <= flags


def test_version_is_printed() -> None:
    assert re.fullmatch(r"servekit \d+\.\d+\.\d+\S*\n", run("--version").stdout)


@pytest.mark.parametrize("arguments", [["nope"], ["predict", "--nope"], ["init", "--template", "nope"]])
def test_bad_use_exits_with_2(arguments: list[str]) -> None:
    done = run(*arguments)

    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--progress", "loud", "expected is one of auto, tty, plain, quiet"),
        ("--platform", "linux/foo", "expected is one such as linux/amd64 or linux/arm64"),
        ("--sbom", "/nowhere/sbom.json", "nothing can be written to /nowhere"),
    ],
)
def test_a_flag_of_build_that_cannot_work_is_refused_before_the_build(
    tmp_path: Path, flag: str, value: str, message: str
) -> None:
    (tmp_path / "servekit.yaml").write_text("predictor: predict.py:Predictor\n")

    done = run("build", "--file", str(tmp_path), flag, value)

    assert done.returncode == errors.UsageError.exit_code
    assert message in done.stderr
