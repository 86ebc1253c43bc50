"""Base images: builds take one that fits, and do without one that is gone."""

import json
from collections.abc import Generator
from typing import Final

import pytest
from image_building import Builder

from servekit.spec import load_spec
from servekit_cli.building import BuildOptions, build_project, find_base
from servekit_cli.engine import Engine
from servekit_cli.engine.views import QuietView
from servekit_cli.image.secrets import read_secrets

HELLO: Final = "def predict(name: str = 'world') -> str:\n    return f'Hello, {name}!'\n"
# A Python of its own: the builds of other tests, which run meanwhile, must not take this base.
SPEC: Final = 'build: {python_version: "3.13"}\n'


pytestmark = pytest.mark.timeout(300)  # nothing else has this Python: on a new engine every step is done


@pytest.fixture(scope="module")
def builder(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Generator[Builder]:
    builder = Builder(engine, tmp_path_factory.mktemp("bases"))
    yield builder
    builder.close()


@pytest.fixture
def base(builder: Builder, engine: Engine) -> Generator[str]:
    """A base image, for as long as a test takes: the engine keeps its steps."""
    done = builder.run("base", "build", "--python", "3.13")
    assert done.returncode == 0, done.stderr
    name = done.stdout.strip()
    yield name
    if engine.client.images.list(name):
        engine.client.images.remove(name, force=True)


def test_a_base_image_that_fits_is_built_on(builder: Builder, base: str) -> None:
    assert base in builder.run("base", "list").stdout

    image = builder.build(builder.write(HELLO, SPEC))

    depth = len(builder.layers(base))
    assert builder.layers(image)[:depth] == builder.layers(base)
    with builder.start(image) as container:
        container.wait_until_ready()
        assert json.loads(container.predict())["status"] == "succeeded"


def test_a_lock_is_not_built_on_a_base_whose_versions_are_others(builder: Builder, engine: Engine, base: str) -> None:
    project = builder.write(HELLO, SPEC)
    assert find_base(engine, load_spec(project), platform=None) == base

    assert builder.run("lock", "--file", str(project)).returncode == 0

    assert find_base(engine, load_spec(project), platform=None) is None


class _GoesOnWithoutError(Exception):
    """The build was about to begin anew."""


class _RemovesTheBase(QuietView):
    """A view of somebody who makes room while the image is asked what is in it, and does not wait for the rest."""

    def __init__(self, engine: Engine, base: str) -> None:
        self._engine = engine
        self._base = base

    def tell(self, text: str) -> None:
        if text.startswith("Importing"):
            self._engine.client.images.remove(self._base, force=True)
        elif text == f"The base image {self._base} was removed meanwhile. Building without it...":
            raise _GoesOnWithoutError


def test_a_base_that_is_removed_meanwhile_is_done_without(
    builder: Builder, engine: Engine, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVEKIT_CACHE_DIR", str(builder.cache))
    spec = load_spec(builder.write(HELLO + "# no image that is known\n", SPEC))
    options = BuildOptions(names=(builder.new_name(),), secrets=read_secrets(()))

    with pytest.raises(_GoesOnWithoutError):
        build_project(engine, spec, options, _RemovesTheBase(engine, base))
