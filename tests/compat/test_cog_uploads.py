"""`--upload-url`: files of outputs are put to a receiver, and are URLs in the answer."""

import re
from collections.abc import Generator
from typing import Any

import httpx
import pytest
from cog_projects import run_cog_program, write_cog_project
from put_receiver import PutReceiver, run_put_receiver

CODE = """
    import pathlib, tempfile
    from typing import Iterator, List
    from cog import BasePredictor, Input, Path

    def make(names):
        return [write(name) for name in names.split()]

    def write(name):
        path = pathlib.Path(tempfile.mkdtemp()) / name
        path.write_text("content of " + name)
        return Path(path)

    class Runner(BasePredictor):
        def predict(self, names: str) -> {output}:
            {body}
"""
KINDS = {
    "single": ("Path", "return make(names)[0]"),
    "list": ("List[Path]", "return make(names)"),
    "iterator": ("Iterator[Path]", "yield from make(names)"),
}
"""Each by the annotation of its output."""


@pytest.fixture(scope="module")
def receiver() -> Generator[PutReceiver]:
    with run_put_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def client(kind: str, receiver: PutReceiver, tmp_path_factory: pytest.TempPathFactory) -> Generator[httpx.Client]:
    root = tmp_path_factory.mktemp("project")
    output, body = KINDS[kind]
    write_cog_project(root, CODE.format(output=output, body=body))
    with run_cog_program(root, f"--upload-url {receiver.url}/{kind}/") as server, server.client() as client:
        yield client


def predict(client: httpx.Client, names: str) -> dict[str, Any]:
    return dict(client.post("/predictions", json={"input": {"names": names}}).json())


def test_one_file_is_text_where_it_is_annotated_so_and_else_a_list(
    client: httpx.Client, receiver: PutReceiver, kind: str
) -> None:
    url = f"{receiver.url}/{kind}/out.png"

    answer = predict(client, "out.png")

    assert answer["status"] == "succeeded", answer
    assert answer["output"] == (url if kind == "single" else [url])
    put = receiver.wait_for(f"/{kind}/out.png")
    assert (put.body, put.headers["content-type"]) == (b"content of out.png", "image/png")


def test_files_keep_their_order_though_the_first_takes_longest(
    client: httpx.Client, receiver: PutReceiver, kind: str
) -> None:
    receiver.answers[f"/{kind}/slow.txt"] = [503]  # the second try comes after a pause

    output = predict(client, "slow.txt b.txt c.txt")["output"]

    urls = [f"{receiver.url}/{kind}/{name}" for name in ("slow.txt", "b.txt", "c.txt")]
    assert output == (urls[0] if kind == "single" else urls)


def test_files_of_one_name_are_kept_apart(client: httpx.Client, receiver: PutReceiver, kind: str) -> None:
    output = predict(client, "same.txt same.txt")["output"]

    urls = [f"{receiver.url}/{kind}/{name}" for name in ("same.txt", "same-1.txt")]
    assert output == (urls[0] if kind == "single" else urls)


def test_a_failed_upload_fails_the_prediction_with_its_status(
    client: httpx.Client, receiver: PutReceiver, kind: str
) -> None:
    receiver.answers[f"/{kind}/no.txt"] = [404]

    answer = predict(client, "no.txt")

    assert answer["status"] == "failed"
    assert re.match(r"Failed to upload output: upload returned status 404 Not Found", answer["error"])
