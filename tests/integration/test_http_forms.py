"""Forms with files over HTTP."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from serving import Server, StartServer, wait_until

CODE = """
    from servekit import BasePredictor, Path

    class Predictor(BasePredictor):
        def predict(self, files: list[Path], text: str = "", count: int = 1) -> list[str]:
            return [text * count, *map(self.describe, files)]

        def describe(self, file: Path) -> str:
            return f"{file.name}:{file.read_bytes()[:10].hex()}:{file.stat().st_size}:{file}"
"""
LIMIT = 5_000_000


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    return start_server(CODE, max_body=LIMIT, history={"max": 1})


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def send(client: httpx.Client, *files: tuple[str, bytes], **values: str) -> httpx.Response:
    return client.post("/predictions", data=values, files=[("files", each) for each in files])


def parse(item: str) -> tuple[str, str, int, Path]:
    name, start, size, path = item.split(":", 3)
    return name, start, int(size), Path(path)


def folder_of(item: str) -> Path:
    """The folder of the whole prediction: that of the pool, then the prediction's key, then the file's."""
    return parse(item)[3].parent.parent


def test_files_and_fields_reach_the_predictor(client: httpx.Client) -> None:
    response = send(client, ("a.txt", b"abc"), ("b.bin", bytes(range(256)) * 10_000), text="x", count="3")

    text, *files = response.json()["output"]
    assert text == "xxx"
    assert [parse(each)[:3] for each in files] == [
        ("a.txt", b"abc".hex(), 3),
        ("b.bin", bytes(range(10)).hex(), 2_560_000),
    ]


def test_files_of_one_name_stay_apart(client: httpx.Client) -> None:
    response = send(client, ("same", b"1"), ("same", b"2"), ("same", b""))

    assert [parse(each)[1:3] for each in response.json()["output"][1:]] == [("31", 1), ("32", 1), ("", 0)]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\\\Windows\\\\a.txt", "a.txt"),
        ("..", "file"),
        ("/", "file"),
        ("a\x1b[31mb.txt", "a_[31mb.txt".replace("[", "_")),
        ("x" * 300 + ".png", "x" * 200 + ".png"),
        ("für.txt", "für.txt"),
    ],
)
def test_a_file_name_is_a_name_and_nothing_else(client: httpx.Client, name: str, kept: str) -> None:
    response = send(client, (name, b"1"))

    assert parse(response.json()["output"][1])[0] == kept


def test_the_input_shows_a_token_and_no_path(client: httpx.Client) -> None:
    answer = send(client, ("a.txt", b"abc")).json()

    (token,) = answer["input"]["files"]
    assert token.startswith("upload:")
    assert token.endswith("/a.txt")


def test_a_token_of_another_request_is_worth_nothing(client: httpx.Client) -> None:
    (token,) = send(client, ("a.txt", b"abc")).json()["input"]["files"]

    response = client.post("/predictions", json={"input": {"files": [token]}})

    assert response.status_code == 422


def test_files_go_when_the_prediction_has_ended(client: httpx.Client) -> None:
    place = send(client, ("a.txt", b"abc")).json()["output"][1]

    wait_until(lambda: not folder_of(place).exists())


def test_files_of_a_refused_request_go_at_once(client: httpx.Client) -> None:
    pool = folder_of(send(client, ("a.txt", b"abc")).json()["output"][1]).parent

    part = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
    responses = [
        send(client, ("a.txt", b"abc"), count="many"),
        send(client, ("a.txt", b"abc"), ("b.txt", b"x" * LIMIT)),
        client.post(
            "/predictions",
            # Large enough to be on disk in part when it turns out to be cut short.
            content=part + b"x" * (LIMIT - 1000),
            headers={"Content-Type": "multipart/form-data; boundary=x"},
        ),
    ]

    assert [response.status_code for response in responses] == [422, 413, 400]
    wait_until(lambda: list(pool.iterdir()) == [])


def test_a_form_without_a_boundary_is_a_400(client: httpx.Client) -> None:
    response = client.post("/predictions", content=b"x", headers={"Content-Type": "multipart/form-data"})

    assert response.status_code == 400
    assert "boundary" in response.json()["detail"]


def test_a_part_without_a_name_is_a_400(client: httpx.Client) -> None:
    response = client.post(
        "/predictions",
        content=b"--x\r\nContent-Disposition: form-data\r\n\r\nabc\r\n--x--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )

    assert response.status_code == 400
    assert "part 1" in response.json()["detail"]


def test_too_many_parts_are_a_413(client: httpx.Client) -> None:
    response = client.post("/predictions", files=[("text", (None, "x"))] * 1001)

    assert response.status_code == 413


def test_a_put_takes_a_form_as_well(client: httpx.Client) -> None:
    response = client.put("/predictions/form", files=[("files", ("a.txt", b"abc"))])

    assert (response.json()["id"], response.json()["status"]) == ("form", "succeeded")
