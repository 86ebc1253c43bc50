"""Files for inputs: data URLs, uploads, and what a real HTTP server sends."""

import base64
import contextlib
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from urllib3.connection import HTTPConnection
from urllib3.response import BaseHTTPResponse, HTTPResponse

from servekit.errors import CancelationError, FileFetchError
from servekit.runtime.addresses import Address
from servekit.runtime.fetch import Fetch
from servekit.runtime.files import FetchLimits, FileSource

Answer = Callable[[BaseHTTPRequestHandler], None]


class Site:
    """A real HTTP server on loopback; `answers` says what each path gives."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.released = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                site.requests.append((self.path, dict(self.headers)))
                self.close_connection = True
                site.answers[self.path.partition("?")[0]](self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its signature
                del format, args

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """Say nothing: clients that go away are what is tested."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def close(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


def gives(body: bytes, status: int = 200) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Connection", "close")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def redirects(location: str, status: int = 302) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Connection", "close")
        handler.send_header("Location", location)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def source(
    folder: Path,
    *,
    max_bytes: int = 10_000,
    timeout_seconds: float = 30,
    allow_private: bool = True,
    uploads: dict[str, str] | None = None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> FileSource:
    limits = FetchLimits(max_bytes, timeout_seconds, max_redirects=3, allow_private=allow_private)
    return FileSource(folder / "files", uploads or {}, limits, is_cancelled)


def left_in(folder: Path) -> list[str]:
    files = folder / "files"
    return sorted(path.name for path in files.iterdir()) if files.exists() else []


# ---------------------------------------------------------------- data URLs and uploads


@pytest.mark.parametrize(
    ("url", "content", "suffix"),
    [
        ("data:image/png;base64,cGl4", b"pix", ".png"),
        ("data:image/jpeg;base64,cGl4", b"pix", ".jpg"),
        ("data:audio/wav;base64,cGl4", b"pix", ".wav"),
        ("data:text/plain;charset=utf-8;base64,aGk=", b"hi", ".txt"),
        ("data:text/plain,a%20b%2Fc", b"a b/c", ".txt"),
        ("data:,hi", b"hi", ".txt"),
        ("data:,é", "é".encode(), ".txt"),
        ("data:application/x-unheard-of,hi", b"hi", ""),
        ("DATA:text/plain;BASE64,aGk", b"hi", ".txt"),
        ("data:text/plain;base64,-_8", b"\xfb\xff", ".txt"),
        ("data:text/plain;base64,aG%6B%3D", b"hi"[:1] + b"i", ".txt"),
        ("data:text/plain;base64,aG\n k=", b"hi", ".txt"),
    ],
)
def test_a_data_url_becomes_a_file(tmp_path: Path, url: str, content: bytes, suffix: str) -> None:
    path = source(tmp_path).resolve(url)

    assert (path.read_bytes(), path.suffix) == (content, suffix)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("data:text/plain;base64", "a comma before its data"),
        ("data:text/plain;base64,a", "base64 cannot be read"),
        ("data:text/plain;base64,!!!!", "base64 cannot be read"),
    ],
)
def test_a_data_url_that_cannot_be_read_says_why(tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(FileFetchError, match=message):
        source(tmp_path).resolve(url)

    assert left_in(tmp_path) == []


@pytest.mark.parametrize("head", ["data:;base64,", "data:,"])
def test_a_large_data_url_is_refused(tmp_path: Path, head: str) -> None:
    body = base64.b64encode(b"x" * 10_001).decode()

    with pytest.raises(FileFetchError, match="larger than 10000 bytes"):
        source(tmp_path).resolve(head + body)


def test_an_upload_is_found_by_its_token(tmp_path: Path) -> None:
    path = source(tmp_path, uploads={"upload:1/a.jpg": "/uploads/1"}).resolve("upload:1/a.jpg")

    assert path == Path("/uploads/1")


@pytest.mark.parametrize(
    "value", ["/etc/passwd", "file:///etc/passwd", "ftp://host/a", "a.png", "", "upload:other", "gopher://x", "\x00"]
)
def test_whatever_else_is_refused_with_what_works(tmp_path: Path, value: str) -> None:
    with pytest.raises(FileFetchError, match=r"is not a file; send an http\(s\) URL, a data URL or an upload"):
        source(tmp_path, uploads={"upload:1": "/uploads/1"}).resolve(value)


def test_the_folder_is_made_with_the_first_file_and_is_private(tmp_path: Path) -> None:
    files = source(tmp_path)

    assert not (tmp_path / "files").exists()
    files.resolve("data:,a")
    assert stat.S_IMODE((tmp_path / "files").stat().st_mode) == 0o700


def test_files_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    files = source(tmp_path)

    paths = [files.resolve(f"data:,{text}") for text in "abc"]

    assert [path.read_text() for path in paths] == ["a", "b", "c"]


# ---------------------------------------------------------------- http


def test_a_url_is_fetched_with_our_user_agent(tmp_path: Path, site: Site) -> None:
    site.answers["/a/cat.png"] = gives(b"meow")

    path = source(tmp_path).resolve(site.url("/a/cat.png?size=2"))

    assert (path.name, path.read_bytes()) == ("cat.png", b"meow")
    [(requested, headers)] = site.requests
    assert requested == "/a/cat.png?size=2"
    assert headers["User-Agent"].startswith("servekit/")
    assert headers["Host"] == f"127.0.0.1:{site.port}"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "file"),
        ("/a%2F..%2F..%2Fetc%2Fpasswd", "a_.._.._etc_passwd"),
        ("/%2e%2e", "file"),
        ("/a%00b.txt", "a_b.txt"),
        ("/.hidden", "hidden"),
        ("/caf%C3%A9.png", "café.png"),
        (f"/{'x' * 500}.jpeg", f"{'x' * 195}.jpeg"),
        (f"/{'%C3%A9' * 300}.png", f"{'é' * 98}.png"),
    ],
)
def test_the_name_of_a_file_is_safe_whatever_the_url(tmp_path: Path, site: Site, path: str, name: str) -> None:
    class AnyPath(dict[str, Answer]):
        def __missing__(self, key: str) -> Answer:
            return gives(b"")

    site.answers = AnyPath()

    resolved = source(tmp_path).resolve(site.url(path))

    assert resolved == tmp_path / "files" / name
    assert len(name.encode()) <= 200


def test_redirects_are_followed(tmp_path: Path, site: Site) -> None:
    site.answers["/1"] = redirects("/2", 301)
    site.answers["/2"] = redirects(site.url("/3"), 307)
    site.answers["/3"] = gives(b"end")

    assert source(tmp_path).resolve(site.url("/1")).read_bytes() == b"end"


def test_too_many_redirects_are_refused(tmp_path: Path, site: Site) -> None:
    site.answers["/loop"] = redirects("/loop")

    with pytest.raises(FileFetchError, match="more than 3 redirects"):
        source(tmp_path).resolve(site.url("/loop"))

    assert len(site.requests) == 4
    assert left_in(tmp_path) == []


def test_a_redirect_to_another_scheme_is_refused(tmp_path: Path, site: Site) -> None:
    site.answers["/1"] = redirects("file:///etc/passwd")

    with pytest.raises(FileFetchError, match="only http and https URLs are fetched"):
        source(tmp_path).resolve(site.url("/1"))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254"],
)
def test_an_address_that_is_not_public_is_refused(tmp_path: Path, site: Site, host: str) -> None:
    with pytest.raises(FileFetchError, match=r"not on the public internet.*serve\.fetch\.allow_private"):
        source(tmp_path, allow_private=False).resolve(f"http://{host}:{site.port}/")

    assert site.requests == []
    assert left_in(tmp_path) == []


def test_a_redirect_to_an_address_that_is_not_allowed_is_refused(tmp_path: Path, site: Site) -> None:
    site.answers["/1"] = redirects(f"http://127.0.0.2:{site.port}/secret")
    fetch = Fetch(
        max_bytes=100,
        timeout_seconds=30,
        max_redirects=3,
        is_allowed=lambda address: str(address) == "127.0.0.1",
    )

    with (tmp_path / "a").open("wb") as file, pytest.raises(FileFetchError, match=r"127\.0\.0\.2, which is not"):
        fetch.into(file, site.url("/1"))

    assert [path for path, _ in site.requests] == ["/1"]


def test_a_name_is_resolved_once_and_the_checked_address_is_connected_to(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A name server that answers with an allowed address first and with another one ever after.
    asked: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: str, port: int, *args: object, **options: object) -> object:
        if host != "rebind.test":
            return real(host, port, *args, **options)  # type: ignore[arg-type]
        asked.append(host)
        return real("127.0.0.1" if len(asked) == 1 else "127.0.0.2", port, type=socket.SOCK_STREAM)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    checked: list[str] = []

    def is_allowed(address: Address) -> bool:
        checked.append(str(address))
        return checked[-1] == "127.0.0.1"

    site.answers["/a"] = gives(b"ok")
    fetch = Fetch(
        max_bytes=100,
        timeout_seconds=30,
        max_redirects=0,
        is_allowed=is_allowed,
    )

    with (tmp_path / "a").open("wb") as file:
        fetch.into(file, f"http://rebind.test:{site.port}/a")

    assert (asked, checked) == (["rebind.test"], ["127.0.0.1"])
    assert site.requests[0][1]["Host"] == f"rebind.test:{site.port}"


def test_a_host_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileFetchError, match=r'there is no host "no-such-host\.invalid"'):
        source(tmp_path).resolve("http://no-such-host.invalid/a")


@pytest.mark.parametrize("url", ["http://", "http:///a", "http://[::1/a", "https://a:999999/"])
def test_what_is_no_url_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(FileFetchError):
        source(tmp_path).resolve(url)

    assert left_in(tmp_path) == []


def test_another_status_is_an_error_that_hides_the_query_and_the_password(tmp_path: Path, site: Site) -> None:
    site.answers["/a"] = lambda handler: handler.send_error(404)

    with pytest.raises(FileFetchError, match="answered 404 Not Found") as caught:
        source(tmp_path).resolve(f"http://me:hush@127.0.0.1:{site.port}/a?signature=hush")

    assert "hush" not in str(caught.value)
    assert left_in(tmp_path) == []
    assert {name.title(): value for name, value in site.requests[0][1].items()}[
        "Authorization"
    ] == f"Basic {base64.b64encode(b'me:hush').decode()}"


def test_a_file_that_is_announced_as_too_large_is_not_read(tmp_path: Path, site: Site) -> None:
    site.answers["/a"] = gives(b"x" * 10_001)

    with pytest.raises(FileFetchError, match=r"larger than 10000 bytes \(serve.fetch.max_size\)"):
        source(tmp_path).resolve(site.url("/a"))

    assert left_in(tmp_path) == []


def test_a_file_that_grows_too_large_is_stopped(tmp_path: Path, site: Site) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not site.released.is_set():
            handler.wfile.write(b"x" * 1000)

    site.answers["/a"] = endless

    with pytest.raises(FileFetchError, match="larger than 10000 bytes"):
        source(tmp_path).resolve(site.url("/a"))

    assert left_in(tmp_path) == []


def breaks_first(site: Site, times: int) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "4")
        handler.end_headers()
        handler.wfile.write(b"me" if len(site.requests) <= times else b"meow")

    return answer


def test_a_broken_connection_is_tried_once_more(tmp_path: Path, site: Site) -> None:
    site.answers["/a"] = breaks_first(site, 1)

    assert source(tmp_path).resolve(site.url("/a")).read_bytes() == b"meow"


def test_a_connection_that_breaks_twice_is_an_error(tmp_path: Path, site: Site) -> None:
    site.answers["/a"] = breaks_first(site, 9)

    with pytest.raises(FileFetchError, match="the connection broke twice"):
        source(tmp_path).resolve(site.url("/a"))

    assert len(site.requests) == 2
    assert left_in(tmp_path) == []


def test_an_answer_that_is_no_http_is_an_error(tmp_path: Path, site: Site) -> None:
    def greet(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"SSH-2.0-nothing\r\n")

    site.answers["/a"] = greet

    with pytest.raises(FileFetchError, match=r"the connection broke twice: SSH-2\.0-nothing"):
        source(tmp_path).resolve(site.url("/a"))


def test_nothing_that_listens_is_an_error(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        with pytest.raises(FileFetchError, match="Connection refused"):
            source(tmp_path).resolve(f"http://127.0.0.1:{port}/a")


def trickles(site: Site, *, in_headers: bool) -> Answer:
    """Send a byte now and then, for ever: no single read ever takes long."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + (b"X-Slow: " if in_headers else b"\r\n"))
        while not site.released.wait(0.02):
            handler.wfile.write(b"x")

    return answer


@pytest.mark.parametrize("in_headers", [True, False])
def test_the_time_limit_holds_for_the_whole_fetch(tmp_path: Path, site: Site, in_headers: bool) -> None:
    site.answers["/a"] = trickles(site, in_headers=in_headers)

    with pytest.raises(FileFetchError, match=r"took longer than 0.3 seconds \(serve.fetch.timeout\)"):
        source(tmp_path, timeout_seconds=0.3).resolve(site.url("/a"))

    assert left_in(tmp_path) == []
    assert len(site.requests) == 1


def test_a_server_that_never_answers_runs_into_the_time_limit(tmp_path: Path, site: Site) -> None:
    site.answers["/a"] = lambda _: (site.released.wait(), None)[1]

    with pytest.raises(FileFetchError, match=r"took longer than 0\.2 seconds"):
        source(tmp_path, timeout_seconds=0.2).resolve(site.url("/a"))


def test_a_canceled_prediction_ends_its_fetch(tmp_path: Path, site: Site) -> None:
    site.answers["/a"] = trickles(site, in_headers=False)

    with pytest.raises(CancelationError):
        source(tmp_path, is_cancelled=lambda: bool(site.requests)).resolve(site.url("/a"))

    assert left_in(tmp_path) == []


def test_proxies_of_the_environment_play_no_part(tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    site.answers["/a"] = gives(b"ok")

    assert source(tmp_path).resolve(site.url("/a")).read_bytes() == b"ok"


@pytest.mark.parametrize("ending", ["status", "large", "redirect", "whole"])
def test_no_connection_is_left_open_however_a_fetch_ends(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    # Held on to, so that no garbage collection can close what the fetch forgot. The answers say that they end
    # the connection: of such a response the connection knows nothing any more, and does not close it.
    responses: list[BaseHTTPResponse] = []
    real = HTTPConnection.getresponse

    def keeping(connection: HTTPConnection) -> HTTPResponse:
        response = real(connection)
        responses.append(response)
        return response

    monkeypatch.setattr(HTTPConnection, "getresponse", keeping)
    site.answers["/status"] = gives(b"x" * 500, status=404)
    site.answers["/large"] = gives(b"x" * 10_001)
    site.answers["/redirect"] = redirects("/whole")
    site.answers["/whole"] = gives(b"ok")

    with contextlib.suppress(FileFetchError):
        source(tmp_path).resolve(site.url(f"/{ending}"))

    assert responses
    assert all(response.closed for response in responses)


def test_no_thread_is_left_behind(tmp_path: Path, site: Site) -> None:
    site.answers["/a"] = gives(b"ok")

    source(tmp_path).resolve(site.url("/a"))

    assert not [thread for thread in threading.enumerate() if thread.name == "servekit-watch"]
