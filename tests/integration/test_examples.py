"""Every example does what its README says, through the real command line, with its real model."""

import ctypes.util
import json
import math
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image, ImageFilter

pytestmark = [
    pytest.mark.examples,
    # The first run of an example makes its environment.
    pytest.mark.timeout(600),
]

EXAMPLES = Path(__file__).parents[2] / "examples"
SERVEKIT = str(Path(sysconfig.get_path("scripts")) / "servekit")
START_SECONDS = 60
# Environments of examples are kept, and what is imported from them need not be compiled at each start.
ENVIRON = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def run(example: str | Path, *arguments: str, command: str = "predict") -> str:
    """Run `servekit predict` in an example's folder, or in a copy of it, and return what it prints to stdout."""
    done = subprocess.run(
        [SERVEKIT, command, *arguments],
        cwd=EXAMPLES / example,
        env=ENVIRON,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_json(example: str | Path, *arguments: str) -> Any:
    return json.loads(run(example, *arguments))


@pytest.fixture
def cog_example(tmp_path: Path) -> Callable[[str], Path]:
    """Copy an example that is written for Cog, for the Python that runs the tests: its own may not be here."""

    def copy(example: str) -> Path:
        folder = Path(shutil.copytree(EXAMPLES / example, tmp_path / example))
        spec = (folder / "cog.yaml").read_text()
        ours = f'python_version: "{sys.version_info.major}.{sys.version_info.minor}"'
        (folder / "cog.yaml").write_text(re.sub(r"python_version: .*", ours, spec))
        return folder

    return copy


def find_free_port() -> int:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serve(example: str | Path) -> Generator[httpx.Client]:
    """Run `servekit serve` for an example and give a client of it."""
    port = find_free_port()
    command = [SERVEKIT, "serve", "--host", "127.0.0.1", "--port", str(port)]
    with (
        subprocess.Popen(command, cwd=EXAMPLES / example, env=ENVIRON, stderr=subprocess.PIPE, text=True) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        try:
            wait_until_ready(client, server)
            yield client
        finally:
            server.terminate()
            server.communicate(timeout=START_SECONDS)


def wait_until_ready(client: httpx.Client, server: "subprocess.Popen[str]") -> None:
    # A process of its own can only be asked; nothing here could be awaited instead.
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    server.kill()
    pytest.fail(f"the server did not become ready:\n{server.communicate()[1]}")


def read_events(response: httpx.Response) -> list[tuple[str, Any]]:
    """Read a whole event stream as pairs of event and data."""
    events: list[tuple[str, Any]] = []
    name = ""
    for line in response.iter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            events.append((name, json.loads(value)))
    return events


def cosine(left: list[float], right: list[float]) -> float:
    product = sum(a * b for a, b in zip(left, right, strict=True))
    return product / (math.hypot(*left) * math.hypot(*right))


def find_sharpness(picture: Image.Image) -> int:
    """Count the pixels that stand on strong edges."""
    return sum(picture.convert("L").filter(ImageFilter.FIND_EDGES).histogram()[128:])


def test_hello_greets_by_name() -> None:
    assert run("hello", "-i", "name=Ada") == "Hello, Ada!\n"


def test_text_stream_writes_the_same_text_for_the_same_seed() -> None:
    first = run("text-stream", "-i", "prompt=The rabbit-hole", "-i", "max_tokens=12", "-i", "delay=0")
    second = run("text-stream", "-i", "prompt=The rabbit-hole", "-i", "max_tokens=12", "-i", "delay=0")

    assert first == second
    assert first.startswith(" went straight on like a tunnel")


def test_text_stream_sends_word_by_word_over_http() -> None:
    request = {"input": {"prompt": "The rabbit-hole", "max_tokens": 5, "delay": 0}}

    with serve("text-stream") as client:
        with client.stream("POST", "/predictions", json=request, headers={"Accept": "text/event-stream"}) as response:
            events = read_events(response)
        whole = client.post("/predictions", json=request).json()

    names = [name for name, _ in events]
    assert names[0] == "start"
    assert names.count("output") == 5
    assert names[-1] == "completed"
    assert whole["status"] == "succeeded"
    assert "".join(whole["output"]) == " went straight on like a"
    assert whole["metrics"]["words"] == 5


@pytest.mark.skipif(ctypes.util.find_library("GL") is None, reason="OpenCV needs libGL: apt-get install libgl1")
def test_ocr_reads_the_receipt_from_top_to_bottom() -> None:
    page = run_json("ocr", "-i", "image=@receipt.png")

    assert page["text"].splitlines() == [
        "CORNER CAFE", "Coffee", "3.20", "Apple pie", "4.50", "Orange juice", "2.80", "TOTAL", "10.50",
    ]  # fmt: skip
    total = page["lines"][-2]
    assert total["confidence"] > 0.9
    assert 0 < total["left"] < total["right"] < 310
    assert 300 < total["top"] < total["bottom"] < 420


def test_filetype_recognises_source_code_without_an_extension() -> None:
    found = run_json("filetype", "-i", "file=@mystery")

    assert found["label"] == "go"
    assert found["is_text"] is True
    assert found["confidence"] > 0.9


def test_filetype_takes_an_upload_over_http() -> None:
    image = (EXAMPLES / "image-transform/landscape.png").read_bytes()

    with serve("filetype") as client:
        answer = client.post("/predictions", files={"file": ("upload", image)}).json()

    assert answer["status"] == "succeeded", answer
    assert answer["output"]["mime_type"] == "image/png"


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="wordllama 0.4 has wheels for Python up to 3.13")
def test_embeddings_of_close_sentences_are_closer_than_of_distant_ones(tmp_path: Path) -> None:
    target = tmp_path / "vectors.json"

    run("embeddings", "--json", "@sentences.json", "-o", str(target))

    cat, kitten, rates = json.loads(target.read_text())
    assert len(cat) == 256
    assert cosine(cat, kitten) > 0.3
    assert cosine(cat, kitten) > cosine(cat, rates) + 0.2


FLOWERS = {"setosa": (5.1, 3.5, 1.4, 0.2), "versicolor": (5.7, 2.8, 4.1, 1.3), "virginica": (6.3, 3.3, 6.0, 2.5)}
MEASUREMENTS = ("sepal_length", "sepal_width", "petal_length", "petal_width")


def test_classifier_tells_the_species_of_a_flower_by_the_command() -> None:
    flags = [
        flag for pair in zip(MEASUREMENTS, FLOWERS["virginica"], strict=True) for flag in ("-i", "{}={}".format(*pair))
    ]

    answer = run_json("classifier", *flags)

    assert answer["species"] == "virginica"


def test_classifier_knows_a_flower_of_each_species() -> None:
    with serve("classifier") as client:
        inputs = [dict(zip(MEASUREMENTS, flower, strict=True)) for flower in FLOWERS.values()]
        answers = [client.post("/predictions", json={"input": each}).json()["output"] for each in inputs]

    assert [answer["species"] for answer in answers] == list(FLOWERS)
    assert [sum(answer["probabilities"].values()) for answer in answers] == [pytest.approx(1, abs=1e-3)] * 3


def test_classifier_takes_many_flowers_in_one_call_and_mixes_up_none() -> None:
    kinds = [list(FLOWERS)[order % 3] for order in range(40)]
    with serve("classifier") as client, ThreadPoolExecutor(20) as threads:

        def ask(kind: str) -> Any:
            flower = dict(zip(MEASUREMENTS, FLOWERS[kind], strict=True))
            return client.post("/predictions", json={"input": flower}).json()

        answers = list(threads.map(ask, kinds))

    assert [answer["output"]["species"] for answer in answers] == kinds
    assert max(answer["metrics"]["batch_size"] for answer in answers) > 1


def test_image_transform_writes_a_smaller_image_in_gray(tmp_path: Path) -> None:
    target = tmp_path / "edges.png"

    run("image-transform", "-i", "image=@landscape.png", "-i", "style=edges", "-i", "max_size=120", "-o", str(target))

    with Image.open(target) as picture:
        assert picture.size == (120, 80)
        assert picture.mode == "L"
        darkest, brightest = picture.getextrema()
    assert (darkest, brightest) == (0, 255)


def test_cog_image_makes_an_image_smaller_and_softer(cog_example: Callable[[str], Path]) -> None:
    folder = cog_example("cog-image")

    run(folder, "-i", "image=@boat.png", "-i", "width=120", "-i", "output_format=webp")

    with Image.open(folder / "boat.png") as before, Image.open(folder / "output.webp") as after:
        assert (after.format, after.size) == ("WEBP", (120, 80))
        assert find_sharpness(after) < find_sharpness(before.resize((120, 80)))


def test_cog_text_stream_writes_the_same_list_for_the_same_seed(cog_example: Callable[[str], Path]) -> None:
    folder = cog_example("cog-text-stream")

    words = run_json(folder, "-i", "prompt=Irene Adler", "-i", "max_tokens=12")

    assert len(words) == 12
    assert words == run_json(folder, "-i", "prompt=Irene Adler", "-i", "max_tokens=12")


def test_cog_text_stream_sends_word_by_word_over_http(cog_example: Callable[[str], Path]) -> None:
    request = {"input": {"max_tokens": 3}}

    with (
        serve(cog_example("cog-text-stream")) as client,
        client.stream("POST", "/predictions", json=request, headers={"Accept": "text/event-stream"}) as response,
    ):
        events = read_events(response)

    names = [name for name, _ in events]
    assert (names[0], names.count("output"), names[-1]) == ("start", 3, "completed")
    assert events[-1][1]["metrics"]["token_count"] == 3


def test_cog_train_makes_the_weights_that_it_predicts_with(cog_example: Callable[[str], Path]) -> None:
    folder = cog_example("cog-train")

    run(folder, "-i", "table=@flowers.csv", "-i", "trees=20", command="train")

    measured = [flag for number in (6.3, 3.3, 6.0, 2.5) for flag in ("-i", f"measurements={number}")]
    assert run(folder, *measured) == "virginica\n"


def test_demo_runs_to_its_end() -> None:
    python = str(Path(sysconfig.get_path("scripts")) / "python")

    done = subprocess.run([python, str(EXAMPLES / "demo.py")], capture_output=True, text=True, check=False, env=ENVIRON)

    assert done.returncode == 0, done.stdout + done.stderr
    assert '"go"' in done.stdout
    assert "event: completed" in done.stdout
    assert "Both worked." in done.stdout


@pytest.mark.parametrize("example", sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir()))
def test_each_example_explains_itself_and_is_small(example: str) -> None:
    folder = EXAMPLES / example

    assert f"# {example}\n" in (folder / "README.md").read_text()
    assert sum(path.stat().st_size for path in folder.glob("*") if path.is_file()) < 50_000
