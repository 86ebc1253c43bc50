import multiprocessing
import os
import stat
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from servekit.errors import ImageBuildError
from servekit_cli.image.context import KEPT_DAYS, ContextEntry, lock_context, prune_contexts, sync_context


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "project" / "a.txt"
    file.parent.mkdir()
    file.write_text("one")
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "context"


def list_context(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_context_holds_files_texts_links_and_folders(folder: Path, source: Path) -> None:
    sync_context(
        folder,
        [
            ContextEntry("app/sub/a.txt", source=source),
            ContextEntry("Dockerfile", text="FROM scratch\n"),
            ContextEntry("app/link", link="sub/a.txt"),
            ContextEntry("app/empty"),
        ],
    )

    assert list_context(folder) == ["Dockerfile", "app", "app/empty", "app/link", "app/sub", "app/sub/a.txt"]
    assert (folder / "app/link").read_text() == "one"
    assert (folder / "Dockerfile").read_text() == "FROM scratch\n"


def test_a_file_costs_no_space(folder: Path, source: Path) -> None:
    sync_context(folder, [ContextEntry("a.txt", source=source)])

    assert (folder / "a.txt").samefile(source)


def test_a_file_that_is_ignored_costs_nothing(folder: Path, source: Path) -> None:
    large = source.with_name("weights.bin")
    with large.open("wb") as stream:
        stream.truncate(2_000_000_000)  # sparse

    sync_context(folder, [ContextEntry("a.txt", source=source)])

    assert list_context(folder) == ["a.txt"]
    assert large.stat().st_nlink == 1


def test_a_folder_for_people_shares_nothing_with_the_project(folder: Path, source: Path) -> None:
    sync_context(folder, [ContextEntry("a.txt", source=source)], may_link=False)
    (folder / "a.txt").write_text("edited")

    assert source.read_text() == "one"


def test_what_was_linked_is_copied_when_links_are_not_wanted(folder: Path, source: Path) -> None:
    sync_context(folder, [ContextEntry("a.txt", source=source)])
    sync_context(folder, [ContextEntry("a.txt", source=source)], may_link=False)

    assert not (folder / "a.txt").samefile(source)


@pytest.mark.parametrize("may_link", [True, False])
def test_what_has_not_changed_is_not_touched(folder: Path, source: Path, *, may_link: bool) -> None:
    entries = [ContextEntry("a.txt", source=source), ContextEntry("b.txt", text="b"), ContextEntry("c", link="a.txt")]
    sync_context(folder, entries, may_link=may_link)
    before = {path: path.lstat().st_ctime_ns for path in folder.iterdir()}

    sync_context(folder, entries, may_link=may_link)

    assert {path: path.lstat().st_ctime_ns for path in folder.iterdir()} == before


@pytest.mark.parametrize("may_link", [True, False])
def test_a_changed_file_is_taken_anew(folder: Path, source: Path, *, may_link: bool) -> None:
    sync_context(folder, [ContextEntry("a.txt", source=source)], may_link=may_link)
    source.unlink()  # as editors do it: another file of the same name
    source.write_text("two!")

    sync_context(folder, [ContextEntry("a.txt", source=source)], may_link=may_link)

    assert (folder / "a.txt").read_text() == "two!"


def test_what_is_gone_from_the_project_goes(folder: Path, source: Path) -> None:
    sync_context(folder, [ContextEntry("a/b/c.txt", source=source), ContextEntry("d.txt", text="d")])

    sync_context(folder, [ContextEntry("d.txt", text="d")])

    assert list_context(folder) == ["d.txt"]
    assert source.exists()


def test_a_path_may_change_its_kind(folder: Path, source: Path) -> None:
    kinds = [
        [ContextEntry("x", source=source)],
        [ContextEntry("x/y", text="y")],
        [ContextEntry("x", link="elsewhere")],
        [ContextEntry("x", text="text")],
        [ContextEntry("x")],
        [ContextEntry("x", source=source)],
    ]
    for entries in kinds:
        sync_context(folder, entries)

    assert (folder / "x").samefile(source)


def test_a_link_to_a_folder_is_never_written_through(folder: Path, source: Path) -> None:
    sync_context(folder, [ContextEntry("x", link=str(source.parent))])

    sync_context(folder, [ContextEntry("x/a.txt", text="ours")])

    assert source.read_text() == "one"


def test_what_a_crash_left_is_put_right(folder: Path, source: Path) -> None:
    folder.mkdir()
    (folder / ".servekit-part").write_text("half")
    (folder / "a.txt").write_text("half")

    sync_context(folder, [ContextEntry("a.txt", source=source)])

    assert list_context(folder) == ["a.txt"]
    assert (folder / "a.txt").read_text() == "one"


def test_the_images_user_can_read_what_only_its_owner_could(folder: Path, source: Path) -> None:
    source.chmod(0o700)

    sync_context(folder, [ContextEntry("sub/a.txt", source=source)])

    assert stat.S_IMODE((folder / "sub/a.txt").stat().st_mode) == 0o755
    assert stat.S_IMODE((folder / "sub").stat().st_mode) == 0o755
    assert stat.S_IMODE(source.stat().st_mode) == 0o700


def test_copies_keep_their_times(folder: Path, source: Path) -> None:
    os.utime(source, (1, 1))

    sync_context(folder, [ContextEntry("a.txt", source=source)], may_link=False)

    assert (folder / "a.txt").stat().st_mtime == 1


def test_a_file_that_vanishes_meanwhile_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageBuildError, match="was there a moment ago"):
        sync_context(folder, [ContextEntry("a.txt", source=tmp_path / "gone")])


def test_a_place_that_cannot_be_written_to_is_told_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ImageBuildError, match=r"cannot be made in .*(.|\n)*SERVEKIT_CACHE_DIR"):
        sync_context(tmp_path / "file" / "context", [])


def test_a_folder_that_somebody_named_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ImageBuildError, match=r"(.|\n)*or name another folder"):
        sync_context(tmp_path / "file" / "context", [], may_link=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user who may not read root's files")
def test_a_file_that_cannot_be_read_is_told(folder: Path, source: Path) -> None:
    source.chmod(0o000)
    folder.mkdir()
    folder.chmod(0o777)
    for parent in folder.parents:
        if parent.stat().st_mode & 0o777 == 0o700:  # pytest's own, however many
            parent.chmod(0o755)
    os.seteuid(65534)
    try:
        with pytest.raises(ImageBuildError, match=r"cannot be read: Permission denied(.|\n)*\.dockerignore"):
            sync_context(folder, [ContextEntry("a.txt", source=source)])
    finally:
        os.seteuid(0)


def _hold(folder: Path, held: Event, release: Event) -> None:
    with lock_context(folder):
        held.set()
        release.wait(30)


def test_a_second_build_says_that_it_waits_for_the_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(folder, held, release))
    other.start()
    assert held.wait(30)
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        release.set()  # only now, so that it could not go on by itself

    monkeypatch.setattr("servekit_cli.image.context.say", say)
    with lock_context(folder):
        other.join(30)

    assert said == ["Another build of this project is running; this one goes on when that is done."]
    assert other.exitcode == 0


def age(lock: Path, days: float) -> None:
    moment = time.time() - days * 24 * 3600
    os.utime(lock, (moment, moment))


def test_a_context_that_was_not_used_for_long_goes(tmp_path: Path) -> None:
    for name in ("old-1", "young-2"):
        with lock_context(tmp_path / name):
            sync_context(tmp_path / name, [ContextEntry("Dockerfile", text="FROM scratch\n")])
    age(tmp_path / "old-1.lock", KEPT_DAYS + 1)
    age(tmp_path / "young-2.lock", KEPT_DAYS - 1)

    prune_contexts(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["young-2"]


def test_a_context_that_is_in_use_stays(tmp_path: Path) -> None:
    with lock_context(tmp_path / "long-1"):
        sync_context(tmp_path / "long-1", [ContextEntry("Dockerfile", text="FROM scratch\n")])
        age(tmp_path / "long-1.lock", KEPT_DAYS + 1)

        prune_contexts(tmp_path)

        assert (tmp_path / "long-1/Dockerfile").exists()
