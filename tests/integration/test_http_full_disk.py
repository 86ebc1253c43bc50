"""A full disk for temporary files costs the predictions that need it, and nothing once there is room again."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from serving import Server, StartServer, wait_until

CODE = """
import servekit

def predict(size: int = 0, file: servekit.Path | None = None) -> int:
    if size:
        (servekit.current_scope().temp_dir / "file").write_bytes(b"x" * size)
    return size if file is None else file.stat().st_size
"""
SPEC = """
predictor: predict.py:predict
serve: {history: {ttl: 1}, log_format: json}
"""
DISK_BYTES = 1_000_000
# A disk of its own needs a mount, and that a namespace in which this user may mount.
IN_A_NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")
ON_A_SMALL_DISK = f'mount -t tmpfs -o size={DISK_BYTES} tmpfs "$TMPDIR" && exec "$@"'


@pytest.fixture(scope="module")
def server(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> Server:
    root = tmp_path_factory.mktemp("full-disk")
    (root / "predict.py").write_text(CODE)
    (root / "servekit.yaml").write_text(SPEC)
    disk = root / "tmp"
    disk.mkdir()
    prefix = ("env", f"TMPDIR={disk}", *IN_A_NAMESPACE, "sh", "-c", ON_A_SMALL_DISK, "sh")
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no disk of a size of its own can be mounted here")
    module = (sys.executable, "-m", "servekit.server", f"--spec={root}", "--host=127.0.0.1", "--port=0")
    server = start_server.adopt(root, *prefix, *module)
    server.wait_until_ready()
    return server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client
        # What is on the disk goes with the records.
        wait_until(lambda: client.get("/predictions").json()["results"] == [])


def predict(client: httpx.Client, **values: Any) -> dict[str, Any]:
    answer: dict[str, Any] = client.post("/predictions", json={"input": values}).json()
    return answer


def test_a_model_that_fills_the_disk_fails_and_the_next_one_has_room(client: httpx.Client) -> None:
    failed, without_files = predict(client, size=2 * DISK_BYTES), predict(client)

    assert failed["status"] == "failed"
    assert "No space left on device" in failed["error"]
    assert without_files["output"] == 0
    wait_until(lambda: predict(client, size=DISK_BYTES // 2)["status"] == "succeeded")


def test_a_data_url_that_finds_no_room_fails_its_prediction(client: httpx.Client) -> None:
    answer = predict(client, file="data:text/plain," + "x" * (2 * DISK_BYTES))

    assert answer["status"] == "failed"
    assert "No space left on device" in answer["error"]
    wait_until(lambda: predict(client, file="data:text/plain,hello").get("output") == len("hello"))


def test_an_upload_that_finds_no_room_is_a_507_and_leaves_none_of_it(client: httpx.Client) -> None:
    large = client.post("/predictions", files={"file": b"x" * (2 * DISK_BYTES)})
    small = client.post("/predictions", files={"file": b"x" * (DISK_BYTES // 2)})

    assert (large.status_code, small.json()["output"]) == (507, DISK_BYTES // 2)


def test_no_worker_was_lost_for_want_of_room(server: Server, client: httpx.Client) -> None:
    predict(client, size=2 * DISK_BYTES)

    assert [line["event"] for line in server.log].count("worker ready") == 1
    assert not [line for line in server.log if line["level"] == "raw"]
