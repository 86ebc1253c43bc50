"""Examples as images: real models answer from their containers."""

import json
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest
from image_building import Builder

from servekit_cli.engine import Engine

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.examples


@pytest.fixture(scope="module")
def builder(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Generator[Builder]:
    """Builds images that are removed after the module's tests."""
    builder = Builder(engine, tmp_path_factory.mktemp("builds"))
    yield builder
    builder.close()


def predict(builder: Builder, image: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    done = builder.run("predict", image, *arguments)
    assert done.returncode == 0, done.stderr
    return done


def test_ocr_reads_the_receipt(builder: Builder) -> None:
    image = builder.build(EXAMPLES / "ocr")

    page = json.loads(predict(builder, image, "-i", f"image=@{EXAMPLES / 'ocr/receipt.png'}").stdout)

    assert page["text"].splitlines()[0] == "CORNER CAFE"
    assert page["text"].splitlines()[-2:] == ["TOTAL", "10.50"]


def test_embeddings_of_close_sentences_are_close(builder: Builder) -> None:
    image = builder.build(EXAMPLES / "embeddings")

    done = predict(builder, image, "--json", f"@{EXAMPLES / 'embeddings/sentences.json'}")

    cat, kitten, rates = json.loads(done.stdout)
    assert _cosine(cat, kitten) > _cosine(cat, rates) + 0.2


def _cosine(one: list[float], other: list[float]) -> float:
    dot = sum(a * b for a, b in zip(one, other, strict=True))
    return float(dot / (sum(a * a for a in one) * sum(b * b for b in other)) ** 0.5)
