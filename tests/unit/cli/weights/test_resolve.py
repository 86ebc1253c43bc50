import hashlib
import os
from collections.abc import Generator
from pathlib import Path

import pytest
from shelf import Shelf

from servekit.errors import WeightsError
from servekit.spec import Spec, WeightsSpec
from servekit_cli.weights import place_weights, resolve_weights
from servekit_cli.weights.digests import digest_file

LARGE = 2_000_000


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVEKIT_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    root.mkdir()
    return root


@pytest.fixture
def shelf() -> Generator[Shelf]:
    shelf = Shelf()
    shelf.files["model.bin"] = b"weights"
    yield shelf
    shelf.close()


def make_spec(root: Path, *entries: dict[str, str]) -> Spec:
    weights = tuple(WeightsSpec.model_validate(entry) for entry in entries)
    return Spec(predictor="predict.py:Predictor", weights=weights, path=root / "servekit.yaml")


def local(path: str, **more: str) -> dict[str, str]:
    return {"source": path, "target": path, **more}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_of_the_project_stays_where_it_is(root: Path) -> None:
    (root / "model.bin").write_bytes(b"weights")

    [file] = resolve_weights(make_spec(root, local("model.bin")))

    assert (file.target, file.path) == ("model.bin", root / "model.bin")
    assert (file.sha256, file.size) == (sha256(b"weights"), 7)


def test_a_folder_is_all_files_in_it_linked_ones_included(root: Path, tmp_path: Path) -> None:
    (root / "models" / "deep").mkdir(parents=True)
    (root / "models" / "deep" / "a.bin").write_bytes(b"a")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b.bin").write_bytes(b"b")
    (root / "models" / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "models" / "deep" / "back").symlink_to(root / "models")

    files = resolve_weights(make_spec(root, local("./models/")))

    assert [file.target for file in files] == ["models/deep/a.bin", "models/linked/b.bin"]


def test_a_file_from_elsewhere_on_this_machine_has_its_target(root: Path, tmp_path: Path) -> None:
    (tmp_path / "shared.bin").write_bytes(b"weights")

    [file] = resolve_weights(make_spec(root, {"source": "../shared.bin", "target": "models/model.bin"}))

    assert (file.target, file.path.read_bytes()) == ("models/model.bin", b"weights")


def test_a_file_with_the_digest_of_the_spec_is_accepted(root: Path) -> None:
    (root / "model.bin").write_bytes(b"weights")

    assert resolve_weights(make_spec(root, local("model.bin", sha256=sha256(b"weights"))))


def test_a_file_with_another_digest_is_refused_with_both(root: Path) -> None:
    (root / "model.bin").write_bytes(b"weights")

    with pytest.raises(WeightsError, match=rf"model\.bin has the SHA-256 {sha256(b'weights')}, and .* says {'0' * 64}"):
        resolve_weights(make_spec(root, local("model.bin", sha256="0" * 64)))


def test_a_digest_for_a_folder_is_refused(root: Path) -> None:
    (root / "models").mkdir()

    with pytest.raises(WeightsError, match="models is a folder, and a sha256 is that of one file"):
        resolve_weights(make_spec(root, local("models", sha256="0" * 64)))


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("modle.bin", r"did you mean model\.bin\?"),
        ("unlike", r"in \S+ there is model\.bin"),
        ("weights/large/model.bin", r"in \S+ there is model\.bin"),
    ],
)
def test_a_missing_file_is_named_with_what_is_there(root: Path, path: str, hint: str) -> None:
    (root / "model.bin").touch()

    with pytest.raises(WeightsError, match=rf"no {path}, which weights in servekit\.yaml names; {hint}"):
        resolve_weights(make_spec(root, local(path)))


def test_an_empty_folder_is_refused(root: Path) -> None:
    (root / "models").mkdir()

    with pytest.raises(WeightsError, match=r"no file in .*models, which weights names"):
        resolve_weights(make_spec(root, local("models")))


def test_a_large_file_is_read_once_while_it_stays_the_same(root: Path) -> None:
    file = root / "model.bin"
    file.write_bytes(b"a" * LARGE)
    state = file.stat()
    first = digest_file(file)
    with file.open("r+b") as stream:  # behind the back of size, time and inode
        stream.write(b"b")
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))

    assert digest_file(file) == first


def test_a_large_file_that_changed_is_read_again(root: Path) -> None:
    file = root / "model.bin"
    file.write_bytes(b"a" * LARGE)
    digest_file(file)

    file.write_bytes(b"b" * LARGE)
    os.utime(file, (1, 1))

    assert digest_file(file) == sha256(b"b" * LARGE)


def test_fetched_weights_are_placed_without_a_second_copy(root: Path, shelf: Shelf) -> None:
    spec = make_spec(root, {"source": shelf.url("model.bin"), "target": "models/model.bin"})

    place_weights(spec)
    place_weights(spec)

    [file] = resolve_weights(spec)
    assert (root / "models" / "model.bin").samefile(file.path)
    assert [path.name for path in (root / "models").iterdir()] == ["model.bin"]
    assert shelf.asked["model.bin"] == 1


def test_weights_from_elsewhere_are_linked_to_and_stay_current(root: Path, tmp_path: Path) -> None:
    spec = make_spec(root, {"source": "../shared.bin", "target": "model.bin"})
    (tmp_path / "shared.bin").write_bytes(b"old")
    place_weights(spec)
    (tmp_path / "new.bin").write_bytes(b"new")
    (tmp_path / "new.bin").replace(tmp_path / "shared.bin")

    place_weights(spec)

    assert (root / "model.bin").read_bytes() == b"new"


def test_what_was_fetched_before_is_replaced(root: Path, shelf: Shelf) -> None:
    shelf.files["next.bin"] = b"newer weights"
    place_weights(make_spec(root, {"source": shelf.url("model.bin"), "target": "model.bin"}))

    place_weights(make_spec(root, {"source": shelf.url("next.bin"), "target": "model.bin"}))

    assert (root / "model.bin").read_bytes() == b"newer weights"


def test_a_file_of_the_user_is_never_replaced(root: Path, shelf: Shelf) -> None:
    (root / "model.bin").write_bytes(b"my own")

    with pytest.raises(WeightsError, match=r"model\.bin is there already.*\nMove it away"):
        place_weights(make_spec(root, {"source": shelf.url("model.bin"), "target": "model.bin"}))

    assert (root / "model.bin").read_bytes() == b"my own"


def test_a_copy_of_the_right_file_is_left_alone(root: Path, shelf: Shelf) -> None:
    (root / "model.bin").write_bytes(b"weights")
    inode = (root / "model.bin").stat().st_ino

    place_weights(make_spec(root, {"source": shelf.url("model.bin"), "target": "model.bin"}))

    assert (root / "model.bin").stat().st_ino == inode


def test_a_place_that_cannot_be_written_to_is_named(root: Path, shelf: Shelf) -> None:
    (root / "models").touch()

    with pytest.raises(WeightsError, match=r"models/model\.bin cannot be written into .*"):
        place_weights(make_spec(root, {"source": shelf.url("model.bin"), "target": "models/model.bin"}))
