from pathlib import Path

import pytest

from servekit_cli.building import memory as module
from servekit_cli.building.memory import Memory
from servekit_cli.image.description import Description, Package
from servekit_cli.image.labels import CREATED

DESCRIPTION = Description(
    schema={"input": {"type": "object"}, "output": {"type": "string"}},
    servekit="0.1.0",
    python="3.12.1",
    packages=(Package("fastapi", "0.120.0", "MIT"),),
    system_packages=(Package("libc6", "2.36", arch="amd64"),),
    distribution={"id": "debian", "version": "12"},
)
LABELS = {CREATED: "2026-01-01T00:00:00Z", "dev.servekit.version": "0.1.0"}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVEKIT_CACHE_DIR", str(tmp_path))


def remember(image_id: str = "sha256:aa") -> None:
    memory = Memory(image_id)
    memory.description = DESCRIPTION
    memory.save(LABELS, "sha256:bb")


def test_what_an_image_said_is_known_the_next_time() -> None:
    remember()

    memory = Memory("sha256:aa")

    assert (memory.description, memory.labels, memory.labelled) == (DESCRIPTION, LABELS, "sha256:bb")


def test_another_image_is_not_known() -> None:
    remember()

    assert Memory("sha256:cc").description is None


def test_the_time_of_the_last_build_stays_while_all_else_does() -> None:
    remember()

    kept = Memory("sha256:aa").keep_time({**LABELS, CREATED: "2026-02-02T00:00:00Z"})

    assert kept == LABELS


def test_another_label_has_another_time() -> None:
    remember()
    labels = {CREATED: "2026-02-02T00:00:00Z", "dev.servekit.version": "0.2.0"}

    assert Memory("sha256:aa").keep_time(labels) == labels


@pytest.mark.parametrize("text", ["", "[]", "{", '{"description": {}}', '{"description": null, "labels": {}}'])
def test_what_cannot_be_read_is_not_known(tmp_path: Path, text: str) -> None:
    remember()
    [file] = (tmp_path / "descriptions").iterdir()
    file.write_text(text)

    assert Memory("sha256:aa").description is None


def test_only_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "_MOST", 3)

    for number in range(5):
        remember(f"sha256:{number}")

    assert len(list((tmp_path / "descriptions").iterdir())) == 3
    assert Memory("sha256:4").description == DESCRIPTION


def test_a_cache_that_cannot_be_written_to_is_done_without(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SERVEKIT_CACHE_DIR", str(tmp_path / "file"))

    remember()

    assert Memory("sha256:aa").description is None
