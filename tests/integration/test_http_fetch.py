"""Files that inputs name by URL, fetched by a running server."""

import sys
import textwrap
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import httpx
import pytest
from serving import Server, StartServer

CODE = """
    import servekit

    def predict(file: servekit.Path) -> str:
        return file.read_text()
"""
# There is no public address to fetch from in a test, so one of this machine's stands for it. All others are
# judged as they always are.
WITH_A_PUBLIC_ADDRESS = """
import sys
from servekit.runtime import addresses
from servekit.server.program import main

is_public = addresses.is_public
addresses.is_public = lambda address: str(address) == "127.0.0.1" or is_public(address)
sys.exit(main(sys.argv[1:]))
"""


class Site(ThreadingHTTPServer):
    """A web site; `/to/URL` redirects there, and anything else gives its path."""

    def __init__(self, host: str) -> None:
        self.requests: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.requests.append(self.path)
                is_redirect = self.path.startswith("/to/")
                self.send_response(302 if is_redirect else 200)
                if is_redirect:
                    self.send_header("Location", unquote(self.path.removeprefix("/to/")))
                self.end_headers()
                self.wfile.write(b"" if is_redirect else self.path.encode())

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its signature
                del format, args

        super().__init__((host, 0), Handler)
        self.url = f"http://{host}:{self.server_address[1]}"


@pytest.fixture
def sites() -> Iterator[tuple[Site, Site]]:
    """A public site, and one in the private network of the server."""
    both = Site("127.0.0.1"), Site("127.0.0.2")
    threads = [threading.Thread(target=site.serve_forever, args=(0.01,)) for site in both]
    for thread in threads:
        thread.start()
    yield both
    for site in both:
        site.shutdown()
        site.server_close()
    for thread in threads:
        thread.join()


@pytest.fixture(scope="module")
def server(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> Server:
    root = tmp_path_factory.mktemp("project")
    (root / "predict.py").write_text(textwrap.dedent(CODE))
    (root / "servekit.yaml").write_text("predictor: predict.py:predict\n")
    program = (sys.executable, "-c", WITH_A_PUBLIC_ADDRESS, f"--spec={root}")
    server = start_server.adopt(root, *program, "--host=127.0.0.1", "--port=0", "--isolation=thread")
    server.wait_until_ready()
    return server


def predict(server: Server, url: str) -> httpx.Response:
    with server.client() as client:
        return client.post("/predictions", json={"input": {"file": url}})


def test_a_redirect_on_the_internet_is_followed(server: Server, sites: tuple[Site, Site]) -> None:
    public, _ = sites

    response = predict(server, f"{public.url}/to/{public.url}/there")

    assert response.json()["output"] == "/there"


@pytest.mark.parametrize("host", ["127.0.0.2", "[::ffff:7f00:2]"])
def test_a_redirect_to_a_private_address_is_a_422_and_asks_for_nothing(
    server: Server, sites: tuple[Site, Site], host: str
) -> None:
    public, private = sites
    target = f"http://{host}:{private.server_address[1]}/secret"

    response = predict(server, f"{public.url}/to/{target}")

    (problem,) = response.json()["detail"]
    assert (response.status_code, problem["loc"]) == (422, ["body", "input", "file"])
    assert "not on the public internet" in problem["msg"]
    assert (len(public.requests), private.requests) == (1, [])


def test_an_address_of_this_machine_is_a_422_by_itself(start_server: StartServer, sites: tuple[Site, Site]) -> None:
    _, private = sites
    server = start_server(CODE, predictor="predict.py:predict")

    response = predict(server, f"{private.url}/secret")

    assert response.status_code == 422
    assert private.requests == []


def test_a_private_address_is_fetched_from_where_that_is_allowed(
    start_server: StartServer, sites: tuple[Site, Site]
) -> None:
    public, private = sites
    server = start_server(CODE, "--fetch-allow-private", predictor="predict.py:predict")

    response = predict(server, f"{public.url}/to/{private.url}/inside")

    assert response.json()["output"] == "/inside"
