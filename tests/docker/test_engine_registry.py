"""Images on their way to a registry and back: a real one, on loopback, open or with a password."""

import json
import os
import stat
import subprocess
import sysconfig
from collections.abc import Generator
from pathlib import Path

import pytest

from servekit.errors import ImageError, UsageError
from servekit_cli.engine import (
    Engine,
    connect,
    find_image,
    inspect_image,
    pull_image,
    push_image,
    remove_image,
    tag_image,
)
from tests.docker.conftest import MakeImage, find_registry, run_registry

SERVEKIT = str(Path(sysconfig.get_path("scripts")) / "servekit")
# The line of `htpasswd -nbB tester hunter2`; the registry takes bcrypt only.
HTPASSWD = "tester:$2y$05$abcdefghijklmnopqrstuuoXuKqgZXLiJqzfmMXDDhSFPIvxV7t8."


@pytest.fixture
def pushable(engine: Engine, make_image: MakeImage, image_name: str, registry: str) -> Generator[str]:
    """The name of an image on the registry, which so far is on the engine only."""
    name = f"{registry}/{image_name}:v1"
    make_image("FROM python:3.12-slim\nRUN echo a layer > /layer\n", tags=(name,))
    yield name
    remove_image(engine, name)


@pytest.fixture
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Docker's config of a user who has never logged in."""
    folder = tmp_path / "docker"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder / "config.json"


@pytest.fixture
def locked_registry(tmp_path: Path) -> Generator[str]:
    """The address of a registry that lets in `tester` with the password `hunter2` only."""
    folder = tmp_path / "registry"
    folder.mkdir()
    (folder / "htpasswd").write_text(HTPASSWD + "\n")
    access = f"auth: {{htpasswd: {{realm: tests, path: {folder}/htpasswd}}}}\n"
    with run_registry(find_registry(), folder, access) as address:
        yield address


@pytest.fixture
def locked(engine: Engine, make_image: MakeImage, image_name: str, locked_registry: str) -> Generator[str]:
    """The name of an image on that registry, which so far is on the engine only."""
    name = f"{locked_registry}/{image_name}:v1"
    make_image("FROM python:3.12-slim\n", tags=(name,))
    yield name
    remove_image(engine, name)


def test_an_image_goes_to_a_registry_and_comes_back(engine: Engine, pushable: str) -> None:
    before = inspect_image(engine, pushable)
    reports: list[str] = []

    digest = push_image(engine, pushable, reports.append)

    assert digest.startswith("sha256:")
    assert any("layers" in report for report in reports)
    remove_image(engine, pushable)
    assert find_image(engine, pushable) is None
    pull_image(engine, pushable, reports.append)
    assert inspect_image(engine, pushable).layers == before.layers


def test_an_image_is_got_by_its_digest(engine: Engine, pushable: str) -> None:
    digest = push_image(engine, pushable, lambda _: None)
    name = f"{pushable.rpartition(':')[0]}@{digest}"

    pull_image(engine, name, lambda _: None)

    assert inspect_image(engine, name).id == inspect_image(engine, pushable).id


def test_layers_that_are_there_are_not_sent_again(engine: Engine, pushable: str) -> None:
    first = push_image(engine, pushable, lambda _: None)
    reports: list[str] = []

    again = push_image(engine, pushable, reports.append)

    assert again == first
    assert not any(" of " in report and "B" in report.partition(",")[2] for report in reports)


def test_the_command_prints_the_name_with_its_digest(pushable: str) -> None:
    done = subprocess.run([SERVEKIT, "push", pushable], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{pushable.removesuffix(':v1')}@sha256:")
    assert f"Pushed {pushable}" in done.stderr


def test_the_command_takes_the_name_from_the_spec(pushable: str, tmp_path: Path) -> None:
    (tmp_path / "servekit.yaml").write_text(f"predictor: predict.py:Predictor\nimage: {pushable}\n")

    done = subprocess.run([SERVEKIT, "push", "-f", str(tmp_path)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "@sha256:" in done.stdout


def test_a_spec_without_an_image_does_not_say_what_to_push(tmp_path: Path) -> None:
    (tmp_path / "servekit.yaml").write_text("predictor: predict.py:Predictor\n")

    done = subprocess.run([SERVEKIT, "push", "-f", str(tmp_path)], capture_output=True, text=True, check=False)

    assert done.returncode == UsageError.exit_code
    assert "has no line image" in done.stderr


def test_an_image_that_is_not_built_cannot_be_pushed(engine: Engine, registry: str) -> None:
    with pytest.raises(ImageError, match=r"servekit build -t .*/nothing:v1"):
        push_image(engine, f"{registry}/nothing:v1", lambda _: None)


def test_a_registry_that_is_not_there_is_said_to_be_out_of_reach(engine: Engine, pushable: str) -> None:
    name = "127.0.0.1:9/test/x:v1"
    tag_image(engine, pushable, name)
    try:
        with pytest.raises(ImageError, match=r"The engine cannot reach 127\.0\.0\.1:9"):
            push_image(engine, name, lambda _: None)
    finally:
        remove_image(engine, name)


def test_an_image_that_no_registry_has_cannot_be_pulled(engine: Engine, registry: str) -> None:
    with pytest.raises(ImageError, match=r"could not be pulled.*\n.*no such image"):
        pull_image(engine, f"{registry}/nothing:v1", lambda _: None)


@pytest.mark.usefixtures("docker_config")
def test_a_registry_that_refuses_says_how_to_log_in(locked: str) -> None:
    with connect() as engine, pytest.raises(ImageError, match=r"Log in .*: docker login 127\.0\.0\.1:\d+"):
        push_image(engine, locked, lambda _: None)


def test_credentials_come_from_the_config_of_docker(locked: str, locked_registry: str, docker_config: Path) -> None:
    auth = "dGVzdGVyOmh1bnRlcjI="  # tester:hunter2 in base64
    docker_config.write_text(json.dumps({"auths": {locked_registry: {"auth": auth}}}))

    with connect() as engine:
        assert push_image(engine, locked, lambda _: None).startswith("sha256:")


def test_credentials_come_from_a_helper(
    locked: str, locked_registry: str, docker_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = _make_helper(docker_config.parent, 'printf \'{"Username": "tester", "Secret": "hunter2"}\'')
    monkeypatch.setenv("PATH", f"{helper.parent}:{os.environ['PATH']}")
    docker_config.write_text(json.dumps({"credHelpers": {locked_registry: "fortest"}}))

    with connect() as engine:
        assert push_image(engine, locked, lambda _: None).startswith("sha256:")
    assert (docker_config.parent / "asked").read_text() == locked_registry


def test_a_helper_that_fails_is_named(
    locked: str, locked_registry: str, docker_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = _make_helper(docker_config.parent, "echo the vault is closed; exit 1")
    monkeypatch.setenv("PATH", f"{helper.parent}:{os.environ['PATH']}")
    docker_config.write_text(json.dumps({"credHelpers": {locked_registry: "fortest"}}))

    with connect() as engine, pytest.raises(ImageError, match=r"helper for .* failed: .*the vault is closed"):
        push_image(engine, locked, lambda _: None)


def _make_helper(folder: Path, answer: str) -> Path:
    helper = folder / "docker-credential-fortest"
    helper.write_text(f"#!/bin/sh\ncat > {folder}/asked\n{answer}\n")
    helper.chmod(helper.stat().st_mode | stat.S_IXUSR)
    return helper
