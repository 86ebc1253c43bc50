"""One file's upload, to a real HTTP server."""

import gc
import os
import socket
import threading
import tracemalloc
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from certificates import make_certificate
from put_receiver import PutReceiver, run_put_receiver

from servekit.errors import CancelationError, OutputError, UploadError
from servekit.runtime.uploading.target import UploadTarget
from servekit.runtime.uploading.upload import Upload


@pytest.fixture(scope="module")
def receiver() -> Generator[PutReceiver]:
    with run_put_receiver() as receiver:
        yield receiver


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "out.png"
    path.write_bytes(b"content")
    return path


def upload(
    url: str,
    path: Path,
    *,
    seconds: float = 300.0,
    retries: int = 2,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> str:
    return Upload(url, path, UploadTarget(url, seconds, retries), is_cancelled).run()


@contextmanager
def upload_beside(url: str, path: Path, is_cancelled: Callable[[], bool]) -> Generator[Future[str]]:
    with ThreadPoolExecutor(1) as thread:
        yield thread.submit(upload, url, path, is_cancelled=is_cancelled)


def test_a_file_is_put_as_it_is_with_its_type(receiver: PutReceiver, file: Path) -> None:
    url = upload(f"{receiver.url}/plain/out.png?sig=1", file)

    (put,) = receiver.at("/plain/out.png?sig=1")
    assert url == f"{receiver.url}/plain/out.png"
    assert (put.body, put.headers["content-type"], put.headers["content-length"]) == (b"content", "image/png", "7")
    assert put.headers["user-agent"].startswith("servekit/")


def test_an_empty_file_is_put(receiver: PutReceiver, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()

    upload(f"{receiver.url}/empty", tmp_path / "empty")

    (put,) = receiver.at("/empty")
    assert (put.body, put.headers["content-type"]) == (b"", "application/octet-stream")


def test_user_and_password_of_the_url_are_sent_and_not_returned(receiver: PutReceiver, file: Path) -> None:
    host = receiver.url.removeprefix("http://")

    url = upload(f"http://ann:secret@{host}/login", file)

    assert url == f"{receiver.url}/login"
    assert receiver.at("/login")[0].headers["authorization"] == "Basic YW5uOnNlY3JldA=="


@pytest.mark.parametrize("status", [200, 201, 204])
def test_the_location_of_the_answer_is_the_url_of_the_file(receiver: PutReceiver, file: Path, status: int) -> None:
    receiver.answers[f"/{status}"] = [(status, {"Location": "https://cdn.org/kept.png?sig=1"})]

    assert upload(f"{receiver.url}/{status}", file) == "https://cdn.org/kept.png"


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_that_keeps_the_method_is_followed(receiver: PutReceiver, file: Path, status: int) -> None:
    host = receiver.url.removeprefix("http://")
    receiver.answers[f"/from{status}"] = [(status, {"Location": f"{receiver.url}/to{status}?x=1"})]

    url = upload(f"http://u:p@{host}/from{status}", file)

    (put,) = receiver.at(f"/to{status}?x=1")
    assert (url, put.body) == (f"{receiver.url}/to{status}", b"content")
    assert "authorization" in put.headers  # it is the same server


def test_another_server_does_not_get_the_password(receiver: PutReceiver, file: Path) -> None:
    host = receiver.url.removeprefix("http://")
    with run_put_receiver() as other:
        receiver.answers["/away"] = [(307, {"Location": f"{other.url}/there"})]

        upload(f"http://u:p@{host}/away", file)

        assert "authorization" not in other.at("/there")[0].headers


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_would_be_a_get_is_not_followed(receiver: PutReceiver, file: Path, status: int) -> None:
    receiver.answers[f"/get{status}"] = [(status, {"Location": f"{receiver.url}/not-there{status}"})]

    with pytest.raises(UploadError, match=f"status {status} .*; only 307 and 308 with a Location are followed"):
        upload(f"{receiver.url}/get{status}", file)

    assert receiver.at(f"/not-there{status}") == []


def test_a_circle_of_redirects_ends(receiver: PutReceiver, file: Path) -> None:
    receiver.answers["/circle"] = [(307, {"Location": "/circle"})] * 10

    with pytest.raises(UploadError, match="redirected more than 5 times"):
        upload(f"{receiver.url}/circle", file)


@pytest.mark.parametrize("location", ["ftp://x.org/?token=t0p", "http://[t0p"])
def test_a_redirect_to_nowhere_says_so_without_naming_it(receiver: PutReceiver, file: Path, location: str) -> None:
    receiver.answers["/nowhere"] = [(307, {"Location": location})]

    with pytest.raises(UploadError, match="redirected to what is no URL of http or https") as raised:
        upload(f"{receiver.url}/nowhere", file)

    assert "t0p" not in str(raised.value)


@pytest.mark.parametrize("status", [429, 500, 503, 0])
def test_a_file_that_was_not_taken_is_sent_again(receiver: PutReceiver, file: Path, status: int) -> None:
    receiver.answers[f"/again{status}"] = [status]

    upload(f"{receiver.url}/again{status}", file)

    assert [put.body for put in receiver.at(f"/again{status}")] == [b"content", b"content"]


def test_a_failure_that_stays_is_told_with_the_number_of_tries(receiver: PutReceiver, file: Path) -> None:
    receiver.answers["/broken"] = [500] * 3

    with pytest.raises(UploadError, match=r"^Failed to upload output: upload returned status 500 Internal") as raised:
        upload(f"{receiver.url}/broken", file)

    assert str(raised.value).endswith(f"(out.png to {receiver.url}, tried 3 times)")


def test_a_no_is_not_asked_again(receiver: PutReceiver, file: Path) -> None:
    receiver.answers["/no"] = [403]

    with pytest.raises(UploadError, match=r"status 403 Forbidden .*tried once"):
        upload(f"{receiver.url}/no", file)

    assert len(receiver.at("/no")) == 1


def test_a_receiver_that_wants_no_more_of_a_file_is_heard(receiver: PutReceiver, tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(50_000_000)
    receiver.unread.add("/large")
    receiver.answers["/large"] = [413]

    # Whether the answer or the end of the connection is seen first is up to the system.
    with pytest.raises(UploadError, match=r"status 413|upload request failed"):
        upload(f"{receiver.url}/large", large, retries=0)


def test_nobody_there_is_a_failure_that_may_pass(file: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(UploadError, match=r"^Failed to upload output: upload request failed: .*refused.* 2 times"):
            upload(url, file, retries=1)


def test_an_answer_that_is_no_http_is_a_failure(file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as thread:
        thread.submit(answer_nonsense, listener)

        with pytest.raises(UploadError, match=r"upload request failed: 'SSH-2\.0"):
            upload(f"http://127.0.0.1:{listener.getsockname()[1]}/x", file, retries=0)


def answer_nonsense(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(1 << 16)
        connection.sendall(b"SSH-2.0-nothing\r\n")


def test_the_time_for_all_tries_is_bounded(receiver: PutReceiver, file: Path) -> None:
    receiver.hold("/slow")

    with pytest.raises(UploadError, match=r"upload took longer than 0.2 seconds \(serve.upload.timeout\)"):
        upload(f"{receiver.url}/slow", file, seconds=0.2)


def test_a_pause_that_would_be_too_long_is_not_begun(receiver: PutReceiver, file: Path) -> None:
    receiver.answers["/later"] = [(503, {"Retry-After": "3600"})]

    with pytest.raises(UploadError, match=r"status 503 .*, and 300 seconds \(serve.upload.timeout\) are up .*once"):
        upload(f"{receiver.url}/later", file)


def test_no_part_of_the_url_that_may_be_secret_is_in_a_message(receiver: PutReceiver, file: Path) -> None:
    host = receiver.url.removeprefix("http://")
    receiver.answers["/t0p-path?t0p"] = [403]

    with pytest.raises(UploadError) as raised:
        upload(f"http://t0p:t0p@{host}/t0p-path?t0p", file)

    assert "t0p" not in str(raised.value)


@pytest.mark.parametrize("path", ["/held", "/unread"])
def test_a_cancel_ends_what_is_under_way(receiver: PutReceiver, tmp_path: Path, path: str) -> None:
    large, is_cancelled = tmp_path / "large", threading.Event()
    with large.open("wb") as file:
        file.truncate(50_000_000)
    receiver.hold(path)
    receiver.unread.add("/unread")

    with upload_beside(f"{receiver.url}{path}", large, is_cancelled.is_set) as uploaded:
        receiver.wait_for(path)
        is_cancelled.set()

        with pytest.raises(CancelationError):
            uploaded.result(30)

    assert path not in receiver.answered


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


def test_a_file_goes_over_tls_and_so_does_its_cancel(
    certificate: Path, tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    large, is_cancelled = tmp_path / "large", threading.Event()
    with large.open("wb") as sparse:
        sparse.truncate(50_000_000)
    with run_put_receiver(certificate) as receiver:
        receiver.unread.add("/unread")
        receiver.hold("/unread")

        assert upload(f"{receiver.url}/x.png", file) == f"{receiver.url}/x.png"
        assert receiver.at("/x.png")[0].body == b"content"
        with upload_beside(f"{receiver.url}/unread", large, is_cancelled.is_set) as uploaded:
            receiver.wait_for("/unread")
            is_cancelled.set()
            with pytest.raises(CancelationError):
                uploaded.result(30)


def test_a_receiver_that_nobody_vouches_for_gets_nothing(certificate: Path, file: Path) -> None:
    with run_put_receiver(certificate) as receiver:
        with pytest.raises(UploadError, match=r"the certificate is not valid: self.signed certificate .*tried once"):
            upload(f"{receiver.url}/x.png", file)

        assert receiver.puts == []


def test_a_cancel_ends_the_pause_between_two_tries(receiver: PutReceiver, file: Path) -> None:
    receiver.answers["/pause"] = [(503, {"Retry-After": "20"})]
    is_cancelled = threading.Event()

    with upload_beside(f"{receiver.url}/pause", file, is_cancelled.is_set) as uploaded:
        receiver.wait_for("/pause")
        is_cancelled.set()

        with pytest.raises(CancelationError):
            uploaded.result(30)


def test_a_file_that_is_gone_is_told(receiver: PutReceiver, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"the file .*gone\.png cannot be read: No such file"):
        upload(f"{receiver.url}/gone", tmp_path / "gone.png")


def test_a_pipe_is_not_waited_for(receiver: PutReceiver, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(OutputError, match=r"the file .*pipe cannot be read: it is no regular file"):
        upload(f"{receiver.url}/pipe", tmp_path / "pipe")


def test_a_large_file_is_never_in_memory(receiver: PutReceiver, tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(100_000_000)
    tracemalloc.start()
    try:
        upload(f"{receiver.url}/large.bin", large)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert receiver.at("/large.bin")[0].size == 100_000_000
    assert peak < 10_000_000  # the receiver's 2 MB are in it


def test_nothing_is_left_open(receiver: PutReceiver, file: Path) -> None:
    receiver.answers["/x"] = [200, 403, 0]
    for _ in range(3):
        with suppress(UploadError):
            upload(f"{receiver.url}/x", file, retries=0)

    gc.collect()  # a connection that was not closed says so now, and warnings are errors
    assert not [thread for thread in threading.enumerate() if thread.name == "servekit-watch"]
