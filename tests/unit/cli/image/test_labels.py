import json
from pathlib import Path

import pytest
from descriptions import make_description

from servekit.errors import ImageBuildError, ImageError
from servekit.spec import BuildSpec, ServeSpec, Spec
from servekit_cli.image.description import read_description
from servekit_cli.image.labels import make_labels, read_labels
from servekit_cli.image.source import SourceFacts

CREATED = "2026-01-01T00:00:00Z"
SOURCE = SourceFacts(CREATED, revision="abc-dirty", version="v1.2", url="https://example.org/a.git")


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    serve = ServeSpec.model_validate({"timeout": "90s"})
    return Spec(predictor="predict.py:Predictor", serve=serve, path=tmp_path / "my-model" / "servekit.yaml")


def test_labels_say_what_is_known(spec: Spec) -> None:
    labels = make_labels(spec, make_description(), SOURCE)

    assert {name.rpartition(".")[2]: text for name, text in labels.items() if name.startswith("org.")} == {
        "title": "my-model",
        "version": "v1.2",
        "revision": "abc-dirty",
        "source": "https://example.org/a.git",
        "created": CREATED,
    }
    assert labels["dev.servekit.version"] == "0.1.0"
    assert labels["dev.servekit.gpu"] == "false"


def test_what_is_not_known_gets_no_label(spec: Spec) -> None:
    labels = make_labels(spec, make_description(), SourceFacts(CREATED))

    assert not {"org.opencontainers.image.revision", "org.opencontainers.image.source"} & set(labels)


def test_the_name_in_the_spec_is_the_title(spec: Spec) -> None:
    labels = make_labels(spec.model_copy(update={"image": "team/other"}), make_description(), SOURCE)

    assert labels["org.opencontainers.image.title"] == "team/other"


def test_the_spec_can_be_read_back_from_its_label(spec: Spec) -> None:
    written = json.loads(make_labels(spec, make_description(), SOURCE)["dev.servekit.spec"])

    assert Spec.model_validate({**written, "path": spec.path}) == spec


def test_the_folder_on_this_machine_is_in_no_label(spec: Spec) -> None:
    labels = make_labels(spec, make_description(), SOURCE)

    assert not any(str(spec.root) in text for text in labels.values())


def test_facts_can_be_read_back_from_labels(spec: Spec) -> None:
    description = make_description()
    gpu = spec.model_copy(update={"build": BuildSpec(gpu=True)})

    facts = read_labels("my-model", make_labels(gpu, description, SOURCE))

    assert (facts.title, facts.revision, facts.created, facts.python) == ("my-model", "abc-dirty", CREATED, "3.12.1")
    assert facts.schema == description.schema
    assert [(package.name, package.version) for package in facts.packages][:2] == [
        ("MarkupSafe", "3.0"),
        ("both", "1.0"),
    ]
    assert facts.wants_gpu


def test_an_image_of_others_is_refused() -> None:
    with pytest.raises(ImageError, match=r"nginx was not built by servekit.*\n.*servekit build -t nginx"):
        read_labels("nginx", {"maintainer": "somebody"})


def test_labels_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(ImageError, match=r"labels of mine cannot be read: .*\nBuild the image anew"):
        read_labels("mine", {"dev.servekit.schema": "{"})


@pytest.mark.parametrize("text", ["", "Hello from sitecustomize\n", "{}", '{"schema": 1}', "[]"])
def test_an_answer_that_is_no_description_is_refused(text: str) -> None:
    with pytest.raises(ImageBuildError, match=r"does not describe itself: .*\n.*nothing else writes to stdout"):
        read_description(text)
