import re
import subprocess
from pathlib import Path

import pytest

from servekit.errors import UsageError
from servekit_cli.image.source import read_source, without_credentials


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Make a repository with a project in a folder of it, and one commit."""
    root = tmp_path / "models" / "one"
    root.mkdir(parents=True)
    (root / "predict.py").touch()
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    commit(tmp_path)
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(folder: Path) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    git(folder, *identity, "commit", "--quiet", "--message", "Change")


def test_the_commit_is_the_revision(repository: Path) -> None:
    source = read_source(repository / "models" / "one")

    assert source.revision == git(repository, "rev-parse", "HEAD")
    assert (source.version, source.url) == (None, None)


@pytest.mark.parametrize("name", ["predict.py", "new.py"])
def test_a_changed_or_new_file_makes_it_dirty(repository: Path, name: str) -> None:
    git(repository, "tag", "v1.2")
    (repository / "models" / "one" / name).write_text("changed")

    source = read_source(repository / "models" / "one")

    assert source.revision == git(repository, "rev-parse", "HEAD") + "-dirty"
    assert source.version == "v1.2-dirty"


def test_a_change_elsewhere_in_the_repository_does_not(repository: Path) -> None:
    (repository / "models" / "two.py").write_text("new")

    assert read_source(repository / "models" / "one").revision == git(repository, "rev-parse", "HEAD")


def test_an_ignored_file_does_not(repository: Path) -> None:
    (repository / ".git" / "info" / "exclude").write_text("*.bin\n")
    (repository / "models" / "one" / "model.bin").touch()

    assert read_source(repository / "models" / "one").revision == git(repository, "rev-parse", "HEAD")


def test_the_version_counts_from_the_nearest_tag(repository: Path) -> None:
    git(repository, "tag", "v1.2")
    (repository / "models" / "one" / "predict.py").write_text("more")
    git(repository, "add", ".")
    commit(repository)

    version = read_source(repository / "models" / "one").version

    assert version is not None
    assert re.fullmatch(r"v1\.2-1-g[0-9a-f]+", version)


def test_the_remote_is_the_source_without_credentials(repository: Path) -> None:
    git(repository, "remote", "add", "origin", "https://me:secret@example.org/models.git")

    assert read_source(repository).url == "https://example.org/models.git"


def test_without_a_repository_only_the_time_is_known(tmp_path: Path) -> None:
    source = read_source(tmp_path)

    assert (source.revision, source.version, source.url) == (None, None, None)


def test_a_repository_without_a_commit_has_no_revision(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")

    assert read_source(tmp_path).revision is None


def test_without_git_only_the_time_is_known(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))

    assert read_source(repository).revision is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://token@example.org/a.git", "https://example.org/a.git"),
        ("https://me:token@example.org:8443/a.git?key=1", "https://example.org:8443/a.git"),
        ("ssh://git:secret@example.org/a.git", "ssh://git@example.org/a.git"),
        ("git@example.org:team/a.git", "git@example.org:team/a.git"),
        ("/srv/git/a.git", "/srv/git/a.git"),
    ],
)
def test_credentials_are_taken_out(url: str, expected: str) -> None:
    assert without_credentials(url) == expected


def test_the_time_is_that_of_source_date_epoch(tmp_path: Path) -> None:
    assert read_source(tmp_path, {"SOURCE_DATE_EPOCH": "1700000000"}).created == "2023-11-14T22:13:20Z"


def test_the_time_is_otherwise_now(tmp_path: Path) -> None:
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", read_source(tmp_path, {}).created)


@pytest.mark.parametrize("epoch", ["yesterday", "1e9", "99999999999999999999"])
def test_a_time_that_is_none_is_refused(tmp_path: Path, epoch: str) -> None:
    with pytest.raises(UsageError, match=rf'SOURCE_DATE_EPOCH is "{epoch}"; expected is a number of seconds'):
        read_source(tmp_path, {"SOURCE_DATE_EPOCH": epoch})
