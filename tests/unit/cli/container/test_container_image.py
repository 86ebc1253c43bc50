import json
import re

import pytest

from servekit.errors import ImageError, UsageError
from servekit.spec import ServeSpec
from servekit_cli.container.image import read_image

SCHEMA = json.dumps({"input": {"type": "object"}, "output": {"type": "string"}, "streams": True})


def test_the_labels_say_what_the_model_takes_and_gives() -> None:
    spec = json.dumps({"serve": {"shutdown_grace": 3}})
    labels = {"dev.servekit.schema": SCHEMA, "dev.servekit.spec": spec, "dev.servekit.gpu": "true"}

    image = read_image("my-model", "sha256:0", labels)

    model = image.find_model("predict")
    assert model.input_schema == {"type": "object"}
    assert (model.streams, model.concatenates, image.wants_gpu) == (True, False, True)
    assert image.serve.shutdown_grace == 3


@pytest.mark.parametrize(("spec", "dialect"), [('{"dialect": "cog"}', "cog"), ("{}", "servekit")])
def test_the_labels_say_whose_rules_the_project_follows(spec: str, dialect: str) -> None:
    labels = {"dev.servekit.schema": SCHEMA, "dev.servekit.spec": spec}

    assert read_image("my-model", "sha256:0", labels).dialect == dialect


def test_settings_of_another_version_leave_the_defaults() -> None:
    spec = json.dumps({"serve": {"not_known_here": 3}})

    image = read_image("my-model", "sha256:0", {"dev.servekit.schema": SCHEMA, "dev.servekit.spec": spec})

    assert image.serve == ServeSpec()


def test_an_image_of_somebody_else_is_refused() -> None:
    with pytest.raises(ImageError, match="nginx was not built by servekit"):
        read_image("nginx", "sha256:0", {"maintainer": "NGINX"})


@pytest.mark.parametrize("label", ["{}", '{"input": 1, "output": 2}', "[]", "nonsense"])
def test_a_label_without_schemas_is_refused(label: str) -> None:
    with pytest.raises(ImageError, match=re.escape("Build the image anew")):
        read_image("my-model", "sha256:0", {"dev.servekit.schema": label})


def test_what_trains_has_a_schema_of_its_own() -> None:
    training = {"input": {"type": "object", "title": "T"}, "output": {}}
    labels = {"dev.servekit.schema": json.dumps({**json.loads(SCHEMA), "training": training})}

    image = read_image("my-model", "sha256:0", labels)

    assert image.find_model("train").input_schema["title"] == "T"


def test_an_image_that_only_predicts_does_not_train() -> None:
    image = read_image("my-model", "sha256:0", {"dev.servekit.schema": SCHEMA})

    with pytest.raises(UsageError, match="my-model has nothing that trains"):
        image.find_model("train")


def test_an_image_that_only_trains_does_not_predict() -> None:
    labels = {"dev.servekit.schema": SCHEMA, "dev.servekit.spec": '{"mode": "train"}'}

    image = read_image("my-model", "sha256:0", labels)

    assert image.find_model("train").input_schema == {"type": "object"}
    with pytest.raises(UsageError, match="Run it with `servekit train my-model`"):
        image.find_model("predict")
