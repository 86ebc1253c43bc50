import hashlib
import importlib
import json
import multiprocessing
import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from shelf import Shelf

from servekit.errors import WeightsError
from servekit_cli.weights.cache import fetch_weights, find_blob
from servekit_cli.weights.download import to_fsspec

CONTENT = os.urandom(3_000_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SERVEKIT_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


@pytest.fixture
def shelf() -> Generator[Shelf]:
    shelf = Shelf()
    shelf.files["model.bin"] = CONTENT
    yield shelf
    shelf.close()


def list_leftovers(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.suffix in (".data", ".new")]


def test_a_file_is_fetched_whole(shelf: Shelf) -> None:
    [file] = fetch_weights(shelf.url("model.bin"), None)

    assert (file.path.read_bytes(), file.sha256, file.size) == (CONTENT, DIGEST, len(CONTENT))


@pytest.mark.parametrize("sha256", [None, DIGEST], ids=["unchecked", "checked"])
def test_a_file_is_fetched_once(shelf: Shelf, sha256: str | None) -> None:
    first = fetch_weights(shelf.url("model.bin"), sha256)

    assert fetch_weights(shelf.url("model.bin"), sha256) == first
    assert shelf.asked["model.bin"] == 1


def test_the_same_file_from_another_place_is_not_fetched(shelf: Shelf) -> None:
    fetch_weights(shelf.url("model.bin"), DIGEST)

    fetch_weights("https://mirror.invalid/model.bin", DIGEST)


def test_a_file_that_left_the_cache_is_fetched_anew(shelf: Shelf) -> None:
    [file] = fetch_weights(shelf.url("model.bin"), None)
    file.path.unlink()

    fetch_weights(shelf.url("model.bin"), None)

    assert file.path.read_bytes() == CONTENT


def test_a_kept_file_cannot_be_written_to(shelf: Shelf) -> None:
    [file] = fetch_weights(shelf.url("model.bin"), DIGEST)

    assert file.path.stat().st_mode & 0o777 == 0o444


def test_a_broken_connection_is_tried_once_more(shelf: Shelf) -> None:
    shelf.breaks["model.bin"] = 1

    [file] = fetch_weights(shelf.url("model.bin"), None)

    assert file.path.read_bytes() == CONTENT
    assert shelf.asked["model.bin"] == 2


def test_a_connection_that_breaks_again_is_an_error_and_leaves_nothing(shelf: Shelf, cache: Path) -> None:
    shelf.breaks["model.bin"] = 5

    with pytest.raises(WeightsError, match=r"model\.bin could not be fetched: ClientPayloadError"):
        fetch_weights(shelf.url("model.bin"), None)

    assert shelf.asked["model.bin"] == 2
    assert list_leftovers(cache) == []
    assert find_blob(DIGEST) is None


def test_a_fault_of_the_server_is_tried_once_more(shelf: Shelf) -> None:
    shelf.statuses["model.bin"] = [503]

    assert fetch_weights(shelf.url("model.bin"), None)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_not_tried_again(shelf: Shelf, status: int) -> None:
    shelf.statuses["model.bin"] = [status, status]

    with pytest.raises(WeightsError, match=rf"could not be fetched: .*{status}.*\n.*lets you read it"):
        fetch_weights(shelf.url("model.bin"), None)

    assert shelf.asked["model.bin"] == 1


def test_a_file_that_is_not_there_is_named(shelf: Shelf) -> None:
    with pytest.raises(WeightsError, match=r"other\.bin is not there\.\nCorrect the source"):
        fetch_weights(shelf.url("other.bin"), None)

    assert shelf.asked["other.bin"] == 1


def test_another_file_than_the_digest_says_is_an_error_with_both(shelf: Shelf, cache: Path) -> None:
    with pytest.raises(WeightsError, match=rf"has the SHA-256 {DIGEST}, and the spec says {'0' * 64}"):
        fetch_weights(shelf.url("model.bin"), "0" * 64)

    assert list_leftovers(cache) == []
    assert find_blob(DIGEST) is None


def test_a_key_in_a_url_is_not_shown(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    fetch_weights(shelf.url("model.bin?signature=secret"), None)
    with pytest.raises(WeightsError) as raised:
        fetch_weights(shelf.url("other.bin?signature=secret"), None)

    assert "secret" not in capsys.readouterr().err + str(raised.value)


def test_the_digest_to_write_down_is_told(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    fetch_weights(shelf.url("model.bin"), None)

    assert f'sha256: "{DIGEST}"' in capsys.readouterr().err


def fetch_in_process(url: str, results: "multiprocessing.SimpleQueue[str]") -> None:
    results.put(fetch_weights(url, None)[0].sha256)


def test_processes_that_want_the_same_file_fetch_it_once(shelf: Shelf) -> None:
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.SimpleQueue[str] = context.SimpleQueue()
    arguments = (shelf.url("model.bin"), results)
    processes = [context.Process(target=fetch_in_process, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()

    digests = [results.get() for _ in processes]

    for process in processes:
        process.join()
    assert digests == [DIGEST, DIGEST]
    assert shelf.asked["model.bin"] == 1


def test_what_a_crash_left_is_overwritten(shelf: Shelf, cache: Path) -> None:
    fetch_weights(shelf.url("model.bin"), None)
    [record] = (cache / "sources").glob("*.json")
    record.with_suffix(".data").write_bytes(b"half")
    find_blob(DIGEST).unlink()  # type: ignore[union-attr] # it is there

    [file] = fetch_weights(shelf.url("model.bin"), None)

    assert file.path.read_bytes() == CONTENT
    assert list_leftovers(cache) == []


def test_a_record_that_was_cut_off_is_made_anew(shelf: Shelf, cache: Path) -> None:
    fetch_weights(shelf.url("model.bin"), None)
    [record] = (cache / "sources").glob("*.json")
    record.write_text('{"sour')

    fetch_weights(shelf.url("model.bin"), None)

    assert json.loads(record.read_text())["files"][0]["sha256"] == DIGEST


def test_a_cache_that_cannot_be_written_is_named(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SERVEKIT_CACHE_DIR", str(tmp_path / "file"))

    with pytest.raises(WeightsError, match=r"kept in .*file/weights.*Not a directory.*\n.*SERVEKIT_CACHE_DIR"):
        fetch_weights(shelf.url("model.bin"), None)


@pytest.mark.parametrize(
    ("source", "package"), [("s3://bucket/model.bin", "s3fs"), ("hf://owner/repo/model.bin", "huggingface_hub")]
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, source: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # not there, even if it is installed

    with pytest.raises(WeightsError, match=rf"{package} is missing\.\n.* -m pip install {package}"):
        fetch_weights(source, None)


@pytest.fixture
def bucket() -> Generator[str]:
    """Fill a folder of fsspec's own store in memory, which lists files as s3:// and hf:// do."""
    store: Any = importlib.import_module("fsspec").filesystem("memory")
    store.pipe({"/bucket/model/config.json": b"{}", "/bucket/model/parts/1.bin": CONTENT})
    yield "memory://bucket/model"
    store.rm("/bucket", recursive=True)


def test_a_folder_is_all_files_in_it(bucket: str) -> None:
    files = fetch_weights(bucket, None)

    assert [(file.relative, file.size) for file in files] == [("config.json", 2), ("parts/1.bin", len(CONTENT))]
    assert files[1].path.read_bytes() == CONTENT


def test_a_folder_that_was_fetched_is_not_listed_again(bucket: str) -> None:
    first = fetch_weights(bucket, None)
    importlib.import_module("fsspec").filesystem("memory").pipe({"/bucket/model/later.bin": b"1"})

    assert fetch_weights(bucket, None) == first


def test_one_digest_for_a_folder_is_refused(bucket: str) -> None:
    with pytest.raises(WeightsError, match=r"is a folder, and a sha256 is that of one file"):
        fetch_weights(bucket, DIGEST)


@pytest.mark.usefixtures("bucket")
def test_an_empty_folder_is_refused() -> None:
    importlib.import_module("fsspec").filesystem("memory").mkdir("/bucket/empty")

    with pytest.raises(WeightsError, match="nothing in memory://bucket/empty"):
        fetch_weights("memory://bucket/empty", None)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("hf://owner/repo/onnx/model.bin", "hf://owner/repo/onnx/model.bin"),
        ("hf://owner/repo/onnx/model.bin@v1.0", "hf://owner/repo@v1.0/onnx/model.bin"),
        ("hf://owner/repo@v1.0/model.bin", "hf://owner/repo@v1.0/model.bin"),
        ("https://example.org/a@b", "https://example.org/a@b"),
    ],
)
def test_a_revision_goes_where_the_hub_wants_it(source: str, expected: str) -> None:
    assert to_fsspec(source) == expected
