"""What tests of whole servers share."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from serving import StartServer


@pytest.fixture(scope="module")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """Start servers for pieces of code; a test's own are gone with it, and those of fixtures after the module."""
    with ExitStack() as servers:
        yield StartServer(servers, lambda: tmp_path_factory.mktemp("project"))


@pytest.fixture(autouse=True)
def _end_servers(request: pytest.FixtureRequest) -> Iterator[None]:
    if "start_server" not in request.fixturenames:
        yield
        return
    start_server: StartServer = request.getfixturevalue("start_server")
    with start_server.until_end():
        yield
