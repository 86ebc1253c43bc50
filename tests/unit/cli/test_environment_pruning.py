"""Which environments go when a new one is made."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from servekit_cli.environment.pruning import KEPT_DAYS, mark_used, prune

KEY = "0123456789abcdef" * 2
USE = "import sys; from pathlib import Path; from servekit_cli.environment.pruning import mark_used; \
mark_used(Path(sys.argv[1])); print(flush=True); sys.stdin.read()"


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An environment that some process has used and that none uses now."""
    folder = tmp_path / "environments" / KEY
    folder.mkdir(parents=True)
    (folder / "python").touch()
    subprocess.run([sys.executable, "-c", USE, folder], stdin=subprocess.DEVNULL, check=True)
    return folder


@pytest.fixture
def user(environment: Path) -> Iterator[None]:
    """A process that uses the environment."""
    command = (sys.executable, "-c", USE, environment)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.kill()


def age(path: Path, days: float) -> None:
    then = time.time() - days * 24 * 3600
    os.utime(path, (then, then))


def mark_of(environment: Path) -> Path:
    return environment.with_name(f"{environment.name}.used")


def test_an_environment_that_was_not_used_for_long_goes(environment: Path) -> None:
    age(mark_of(environment), KEPT_DAYS + 1)

    prune(environment.parent)

    assert [path for path in environment.parent.iterdir() if path.is_dir()] == []


def test_an_environment_that_was_used_lately_stays(environment: Path) -> None:
    age(environment, KEPT_DAYS * 10)
    age(mark_of(environment), KEPT_DAYS - 1)

    prune(environment.parent)

    assert environment.exists()


@pytest.mark.usefixtures("user")
def test_an_environment_stays_for_as_long_as_it_is_used(environment: Path) -> None:
    age(mark_of(environment), KEPT_DAYS + 1)

    prune(environment.parent)

    assert environment.exists()


def test_using_an_environment_makes_it_young(environment: Path) -> None:
    age(mark_of(environment), KEPT_DAYS + 1)

    mark_used(environment)

    assert time.time() - mark_of(environment).stat().st_mtime < 3600


def test_an_environment_without_a_mark_gets_one(environment: Path) -> None:
    mark_of(environment).unlink()
    age(environment, KEPT_DAYS + 1)

    prune(environment.parent)
    assert environment.exists()
    age(mark_of(environment), KEPT_DAYS + 1)
    prune(environment.parent)

    assert not environment.exists()


def test_what_a_crash_left_long_ago_goes_and_what_is_being_made_stays(environment: Path) -> None:
    left, new = (environment.with_name(f"{KEY}.part-{name}") for name in ("abc", "def"))
    for folder in (left, new):
        folder.mkdir()
    age(left, KEPT_DAYS + 1)

    prune(environment.parent)

    assert (left.exists(), new.exists()) == (False, True)


def test_what_is_no_environment_stays(environment: Path) -> None:
    other = environment.with_name("notes")
    other.mkdir()
    age(other, KEPT_DAYS + 1)

    prune(environment.parent)

    assert other.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written_to_can_be_used(environment: Path) -> None:
    mark_of(environment).unlink()
    environment.parent.chmod(0o500)

    mark_used(environment)
    prune(environment.parent)

    assert environment.exists()
