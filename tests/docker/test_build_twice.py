"""With a lock and SOURCE_DATE_EPOCH two builds give the same image, but for the times that the engine stamps."""

import hashlib
import json
import tarfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest
from image_building import Builder

from servekit_cli.engine import Engine

pytestmark = pytest.mark.timeout(500)  # two whole builds

Layer = dict[str, tuple[object, ...]]


@pytest.fixture(scope="module")
def builder(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Generator[Builder]:
    builder = Builder(engine, tmp_path_factory.mktemp("twice"))
    yield builder
    builder.close()


@pytest.fixture(scope="module")
def images(builder: Builder) -> tuple[str, str]:
    """Build the same project from steps that the engine has done before, and with each step anew."""
    project = builder.write("def predict() -> str:\n    return ''\n", "build: {python_packages: [tabulate==0.9.0]}\n")
    assert builder.run("lock", "--file", str(project)).returncode == 0
    first, second = (builder.build(project, *how, SOURCE_DATE_EPOCH="1700000000") for how in ((), ("--no-cache",)))
    return first, second


@dataclass(frozen=True)
class Saved:
    """An image as `docker save` writes it.

    Attributes:
        layers: What each layer holds, lowest first: all that is known of a file but its time.
        digests: Of the layers.
    """

    layers: list[Layer]
    digests: list[str]


@pytest.fixture(scope="module")
def saved(engine: Engine, images: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Saved, Saved]:
    folder = tmp_path_factory.mktemp("saved")
    first, second = (save(engine, image, folder / f"{number}.tar") for number, image in enumerate(images))
    return first, second


def save(engine: Engine, image: str, file: Path) -> Saved:
    with file.open("wb") as stream:
        stream.writelines(engine.client.images.get(image).save())
    with tarfile.open(file) as archive:
        [manifest] = json.load(open_member(archive, "manifest.json"))
        config = json.load(open_member(archive, manifest["Config"]))
        return Saved(
            layers=[read_layer(open_member(archive, name)) for name in manifest["Layers"]],
            digests=config["rootfs"]["diff_ids"],
        )


def read_layer(stream: IO[bytes]) -> Layer:
    with tarfile.open(fileobj=stream) as layer:
        return {member.name: describe(layer, member) for member in layer}


def describe(layer: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[object, ...]:
    content = open_member(layer, member).read() if member.isreg() else b""
    return (member.type, member.mode, member.uid, member.gid, member.linkname, hashlib.sha256(content).hexdigest())


def open_member(archive: tarfile.TarFile, member: str | tarfile.TarInfo) -> IO[bytes]:
    stream = archive.extractfile(member)
    assert stream is not None
    return stream


def read_config(engine: Engine, image: str) -> dict[str, Any]:
    config: dict[str, Any] = engine.client.images.get(image).attrs
    return config


def test_every_file_of_every_layer_is_the_same_but_for_its_time(saved: tuple[Saved, Saved]) -> None:
    first, second = saved

    different = [
        name
        for ours, theirs in zip(first.layers, second.layers, strict=True)
        for name in sorted({*ours, *theirs})
        if ours.get(name) != theirs.get(name)
    ]
    # uv notes the time of the file of a development install; a release from the index has no such note.
    own = "usr/local/lib/python3.12/site-packages/servekit-0.1.0.dist-info"
    assert set(different) <= {f"{own}/RECORD", f"{own}/uv_cache.json"}


def test_the_layers_of_the_base_image_have_the_same_digests(saved: tuple[Saved, Saved], engine: Engine) -> None:
    first, second = saved

    # The others hold a folder or a file that the build made, with the time at which it did.
    base = engine.client.images.get("python:3.12-slim").attrs["RootFS"]["Layers"]
    assert first.digests[: len(base)] == second.digests[: len(base)] == base


def test_labels_and_settings_are_the_same(engine: Engine, images: tuple[str, str]) -> None:
    first, second = (read_config(engine, image) for image in images)

    assert first["Config"] == second["Config"]


def test_the_time_is_that_of_the_epoch(engine: Engine, images: tuple[str, str]) -> None:
    if not engine.features.epoch:
        pytest.skip("engines before 24.0, and builds without buildx, take no SOURCE_DATE_EPOCH")
    first, second = (read_config(engine, image) for image in images)

    assert first["Created"].startswith("2023-11-14T22:13:20")
    assert first["Created"] == second["Created"]
