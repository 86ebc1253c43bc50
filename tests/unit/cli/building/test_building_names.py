from pathlib import Path

import pytest

from servekit.spec import load_spec
from servekit_cli.building import name_image
from servekit_cli.building.network import read_proxies
from servekit_cli.engine import check_tag


@pytest.mark.parametrize(
    ("folder", "name"),
    [("my-model", "my-model"), ("My Model (2)", "my-model-2"), ("__", "servekit-model"), ("Größe", "gr-e")],
)
def test_an_image_without_a_name_gets_that_of_its_folder(tmp_path: Path, folder: str, name: str) -> None:
    project = tmp_path / folder
    project.mkdir()
    (project / "servekit.yaml").write_text("predictor: predict.py:predict\n")

    assert name_image(load_spec(project)) == name
    check_tag(name)


def test_the_name_in_the_spec_comes_first(tmp_path: Path) -> None:
    (tmp_path / "servekit.yaml").write_text("predictor: predict.py:predict\nimage: team/model:v2\n")

    assert name_image(load_spec(tmp_path)) == "team/model:v2"


def test_proxies_are_passed_in_both_ways_of_writing() -> None:
    proxies = read_proxies({"https_proxy": "http://proxy:3128", "NO_PROXY": "localhost", "HTTP_PROXY": ""})

    assert proxies == {
        "HTTPS_PROXY": "http://proxy:3128",
        "https_proxy": "http://proxy:3128",
        "NO_PROXY": "localhost",
        "no_proxy": "localhost",
    }
