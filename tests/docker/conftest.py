"""What tests with a real engine share. Whatever they make carries a label or a name, and is gone at their end."""

import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

import docker.errors
import pytest
from model_images import MakeModelImage

from servekit.errors import EngineError
from servekit_cli.engine import BuildRequest, Engine, build_image, connect, make_view, remove_image
from servekit_cli.engine.features import Kind

# Other sessions may use the same engine at the same time: each cleans up only what is its own.
SESSION: Final = uuid.uuid4().hex
TEST_LABELS: Final = {"dev.servekit.test": "1", "dev.servekit.test.session": SESSION}
PYTHON_IMAGE: Final = "python:3.12-slim"
_REPOSITORY: Final = "servekit-test"
_REGISTRY_SECONDS: Final = 10


class MakeImage(Protocol):
    """Writes a build context and builds it."""

    def __call__(self, dockerfile: str, *, kind: Kind | None = ..., **request: Any) -> str:
        """Build an image.

        Args:
            dockerfile: The Dockerfile's text.
            kind: The way of building; None for the best one.
            **request: More of the BuildRequest.

        Returns:
            Its id.
        """
        ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session")
def engine() -> Generator[Engine]:
    """The engine that answers here, with the base image; a test that asks for it is skipped without."""
    try:
        engine = connect()
    except EngineError as error:
        pytest.skip(f"no engine: {error}")
    with engine:
        require_image(engine, PYTHON_IMAGE)
        yield engine
        _remove_traces(engine)


@pytest.fixture(autouse=True)
def _leaves_no_container(request: pytest.FixtureRequest) -> Generator[None]:
    """Make sure that a test leaves no container of a test's image; containers have the labels of their images."""
    if "engine" not in request.fixturenames:
        yield
        return
    engine: Engine = request.getfixturevalue("engine")
    yield
    left = _labelled_containers(engine)
    for container in left:
        container.remove(force=True)
    assert not left, f"containers are left: {[container.name for container in left]}"


@pytest.fixture
def make_image(engine: Engine, context: Path) -> MakeImage:
    """Build an image from a Dockerfile, and from what the test wrote into `context`."""

    def make(dockerfile: str, *, kind: Kind | None = None, **request: Any) -> str:
        (context / "Dockerfile").write_text(dockerfile)
        labels = {**TEST_LABELS, **request.pop("labels", {})}
        wanted = BuildRequest(context, labels=labels, **request)
        if kind is None:
            return build_image(engine, wanted, make_view("quiet"))
        with connect(kind) as other:
            return build_image(other, wanted, make_view("quiet"))

    return make


@pytest.fixture(scope="session")
def model_image(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> MakeModelImage:
    """Make images of models whose containers a test runs."""
    return MakeModelImage(engine, TEST_LABELS, tmp_path_factory.mktemp("models"))


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """The folder that `make_image` sends to the engine; a step that names it is in no cache of an earlier run."""
    folder = tmp_path / uuid.uuid4().hex
    folder.mkdir()
    return folder


@pytest.fixture(params=["buildx", "buildkit", "classic"])
def kind(request: pytest.FixtureRequest, engine: Engine) -> Kind:
    """Each way of building, one after the other."""
    way: Kind = request.param
    if way == "buildx" and engine.features.client is None:
        pytest.skip("the docker client here has no BuildKit")
    if way == "buildkit" and engine.features.is_podman:
        pytest.skip("the engine here has no BuildKit")
    return way


@pytest.fixture
def hand_build(engine: Engine) -> None:
    """A test that builds a written context by hand is skipped where that takes a newer engine."""
    if not engine.features.link:
        pytest.skip("what a dry run writes takes Docker Engine 23.0 and buildx")


@pytest.fixture
def image_name(engine: Engine) -> Generator[str]:
    """A name for an image, which is removed after the test."""
    name = f"{_REPOSITORY}/{uuid.uuid4().hex[:12]}"
    yield name
    for image in engine.client.images.list(name):
        for each in image.tags:
            if name in each:  # the image goes with its last name, unless another session has an equal one
                remove_image(engine, each)


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The address of a registry on loopback: Debian's docker-registry."""
    program = find_registry()
    with run_registry(program, tmp_path_factory.mktemp("registry")) as address:
        yield address


def find_registry() -> str:
    """The registry's program; the test is skipped without."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed (apt-get install docker-registry)")
    return program


class run_registry:  # noqa: N801 - used as a function
    """Run a registry for as long as the block lasts."""

    def __init__(self, program: str, folder: Path, more: str = "") -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        settings = folder / "registry.yml"
        settings.write_text(
            f"version: 0.1\nlog: {{accesslog: {{disabled: true}}, level: error}}\n"
            f"storage: {{filesystem: {{rootdirectory: {folder}}}, delete: {{enabled: true}}}}\n"
            f'http: {{addr: "{self.address}"}}\n{more}'
        )
        self._command = [program, "serve", str(settings)]

    def __enter__(self) -> str:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        host, port = self.address.split(":")
        deadline = time.monotonic() + _REGISTRY_SECONDS
        while time.monotonic() < deadline:
            with suppress(ConnectionRefusedError), socket.create_connection((host, int(port)), timeout=1):
                return self.address
            time.sleep(0.02)
        self.__exit__()
        raise AssertionError("the registry did not start")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(_REGISTRY_SECONDS)


def require_image(engine: Engine, name: str) -> None:
    """Skip the test where an image is not there."""
    try:
        engine.client.images.get(name)
    except docker.errors.ImageNotFound:
        pytest.skip(f"the engine has no image {name}, and a test does not pull any")


def _labelled_containers(engine: Engine) -> list[Any]:
    filters: dict[str, Any] = {"label": f"dev.servekit.test.session={SESSION}"}
    return list(engine.client.containers.list(all=True, ignore_removed=True, filters=filters))


def _remove_traces(engine: Engine) -> None:
    for container in _labelled_containers(engine):
        container.remove(force=True)
    for image in engine.client.images.list(filters={"label": f"dev.servekit.test.session={SESSION}"}):
        with suppress(docker.errors.APIError):  # it went with another one, or another one stands on it
            image.remove(force=True)
