"""What is known of an image: by its labels, and by asking it."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from model_images import SERVEKIT, MakeModelImage

from servekit.errors import ContainerError, ImageBuildError, PredictorError, SetupError
from servekit_cli.container.description import describe_image
from servekit_cli.engine import Engine

SECONDS = 60

MakeImage = Callable[[str], str]

MODEL = """
import os, socket

from servekit import BasePredictor, Input

if __file__ == "/app/predict.py":  # and not where its labels are made
    assert os.getuid() == 10001
    assert [name for _, name in socket.if_nameindex()] == ["lo"]
    try:
        open("/app/written", "w")
        raise AssertionError("the root can be written to")
    except OSError:
        pass

class Predictor(BasePredictor):
    def predict(self, n: int = Input(description="How many.", default=3)) -> str:
        return "x" * n
"""


@pytest.fixture(scope="module")
def image(model_image: MakeModelImage) -> str:
    return model_image(MODEL)


def inspect(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [SERVEKIT, "inspect", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)


@pytest.fixture
def other_image(image: str, make_image: MakeImage, context: Path) -> Callable[[str], str]:
    """Put other code into the image."""

    def make(code: str) -> str:
        (context / "predict.py").write_text(code)
        return make_image(f"FROM {image}\nCOPY predict.py /app/\n")

    return make


def test_an_image_says_what_is_in_it_without_network_and_as_its_user(engine: Engine, image: str) -> None:
    description = describe_image(engine, image)

    assert description.schema["input"]["properties"]["n"]["default"] == 3
    assert description.python.startswith("3.12.")
    assert {"servekit", "fastapi"} <= {package.name for package in description.packages}
    assert "libc6" in {package.name for package in description.system_packages}
    assert description.distribution == {"id": "debian", "version": "12"}


def test_a_predictor_that_cannot_be_imported_is_told_with_its_traceback(
    engine: Engine, other_image: Callable[[str], str]
) -> None:
    other = other_image("import nowhere\n")

    with pytest.raises(SetupError, match=r'(?s)File "/app/predict\.py", line 1.*No module named .nowhere.*under build'):
        describe_image(engine, other)


def test_a_predictor_that_is_not_there_is_told(engine: Engine, other_image: Callable[[str], str]) -> None:
    other = other_image("class Other: ...\n")

    with pytest.raises(PredictorError, match='there is no "Predictor"'):
        describe_image(engine, other)


def test_importing_that_takes_too_long_is_given_up(engine: Engine, other_image: Callable[[str], str]) -> None:
    other = other_image("import time\ntime.sleep(600)\n")

    with pytest.raises(SetupError, match="not imported within 3 seconds"):
        describe_image(engine, other, seconds=3)


def test_an_image_without_servekit_is_told_what_it_needs(engine: Engine) -> None:
    with pytest.raises(ImageBuildError, match=r"(?s)No module named 'servekit'.*servekit\[server\] installed"):
        describe_image(engine, "python:3.12-slim")


def test_an_image_that_is_not_there_is_told(engine: Engine) -> None:
    with pytest.raises(ContainerError, match="No container could be made of servekit-test/none"):
        describe_image(engine, "servekit-test/none")


def test_inspect_shows_inputs_with_types_and_defaults(image: str) -> None:
    done = inspect(image)

    assert done.returncode == 0, done.stderr
    assert "  n  integer = 3   How many.\n" in done.stdout
    assert f"  image      {image}:latest\n" in done.stdout
    assert "  predictor  predict.py:Predictor\n" in done.stdout


def test_inspect_knows_an_image_by_its_id(engine: Engine, image: str) -> None:
    done = inspect(str(engine.client.images.get(image).id), "--json")

    shown = json.loads(done.stdout)
    assert shown["tags"] == [f"{image}:latest"]
    assert shown["schema"]["input"]["properties"]["n"]["type"] == "integer"
    assert shown["spec"]["predictor"] == "predict.py:Predictor"


def test_inspect_writes_a_bill_of_what_is_really_installed(image: str, tmp_path: Path) -> None:
    done = inspect(image, "--sbom", str(tmp_path / "sbom.json"))

    text = (tmp_path / "sbom.json").read_text()
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert {"fastapi", "libc6"} <= {component["name"] for component in json.loads(text)["components"]}


@pytest.mark.usefixtures("engine")
def test_inspect_refuses_an_image_of_others() -> None:
    done = inspect("python:3.12-slim")

    assert done.returncode == 12
    assert "python:3.12-slim was not built by servekit" in done.stderr


@pytest.mark.usefixtures("engine")
def test_inspect_refuses_an_image_that_is_not_here() -> None:
    done = inspect("servekit-test/none")

    assert done.returncode == 12
    assert 'There is no image "servekit-test/none"' in done.stderr
