"""Podman in the place of Docker: the same commands, over its Docker-compatible socket."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import docker
import docker.errors
import pytest
from image_building import Builder

from servekit_cli.engine import Engine

IMAGE: Final = "python:3.12-slim"
SECONDS: Final = 30
HELLO: Final = "def predict(name: str = 'world') -> str:\n    return f'Hello, {name}!'\n"
# As root of a machine that is a guest itself: limits that it may not raise, control groups that crun refuses.
SETTINGS: Final = """
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
[engine]
runtime = "runc"
[network]
network_backend = "netavark"
"""

pytestmark = pytest.mark.timeout(400)  # the first build downloads everything, and Podman has no cache of Docker's


@pytest.fixture(scope="module")
def podman(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The address of a Podman with a storage of its own, and in that Docker's Python image."""
    program = shutil.which("podman")
    if program is None:
        pytest.skip("podman is not installed (apt-get install podman runc netavark aardvark-dns)")
    if os.geteuid() != 0:
        pytest.skip("a rootless podman shares its storage and its settings with the user")
    folder = tmp_path_factory.mktemp("podman")
    (folder / "containers.conf").write_text(SETTINGS)
    address = f"unix://{folder}/podman.sock"
    run = Path(tempfile.mkdtemp(prefix="podman-", dir="/tmp"))  # podman takes 50 characters; ours may be longer
    command = [program, "--root", str(folder / "root"), "--runroot", str(run)]
    environ = {**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf")}
    log = folder / "podman.log"
    with log.open("wb") as output:
        service = subprocess.Popen(
            [*command, "system", "service", "--time=0", address], env=environ, stdout=output, stderr=output
        )
    try:
        _wait_for_socket(folder / "podman.sock", log)
        _copy_image(engine, address)
        yield address
    finally:
        service.terminate()
        service.wait(SECONDS)
        # Not `system reset`: that takes networks and machines along, which are not of this storage.
        subprocess.run([*command, "rmi", "--all", "--force"], env=environ, capture_output=True, check=True)
        shutil.rmtree(run)


def _wait_for_socket(socket: Path, log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while not socket.exists():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def _copy_image(engine: Engine, address: str) -> None:
    client: Any = docker.DockerClient(base_url=address)  # its types are of half of the methods only
    try:
        (image,) = client.images.load(engine.client.images.get(IMAGE).save(named=True))
        assert image.tag("docker.io/library/python", "3.12-slim")  # loaded images are of localhost
    except docker.errors.APIError as error:
        pytest.skip(f"the podman here takes no image: {error.explanation}")
    finally:
        client.close()


@pytest.fixture(scope="module")
def builder(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """Writes projects; the images are Podman's, and go with its storage."""
    return Builder(engine, tmp_path_factory.mktemp("builds"))


@pytest.fixture(scope="module")
def hello(builder: Builder, podman: str) -> str:
    """An image that Podman has built."""
    return builder.build(builder.write(HELLO), DOCKER_HOST=podman)


def test_an_image_that_podman_built_predicts(builder: Builder, podman: str, hello: str) -> None:
    done = builder.run("predict", hello, "-i", "name=Ada", DOCKER_HOST=podman)

    assert (done.returncode, done.stdout) == (0, "Hello, Ada!\n"), done.stderr


def test_an_image_that_podman_built_has_the_labels(builder: Builder, podman: str, hello: str) -> None:
    done = builder.run("inspect", hello, DOCKER_HOST=podman)

    assert done.returncode == 0, done.stderr
    assert "predict.py:predict" in done.stdout


def test_podman_is_left_without_a_container(builder: Builder, podman: str, hello: str) -> None:
    builder.run("predict", hello, DOCKER_HOST=podman)

    client = docker.DockerClient(base_url=podman)
    try:
        assert client.containers.list(all=True) == []
    finally:
        client.close()
