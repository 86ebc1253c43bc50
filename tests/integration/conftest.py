"""What tests of whole servers share."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from serving import StartServer


@pytest.fixture(scope="module")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """Start servers for pieces of code; all of them are gone after the module's tests."""
    with ExitStack() as servers:
        yield StartServer(servers, lambda: tmp_path_factory.mktemp("project"))
