from types import SimpleNamespace
from typing import Any

import pytest

from servekit_cli.container.address import format_url, is_remote
from servekit_cli.engine.endpoint import Endpoint


def engine_at(host: str) -> Any:
    return SimpleNamespace(endpoint=Endpoint(host=host, origin="DOCKER_HOST"))


@pytest.mark.parametrize(
    ("engine", "host", "url"),
    [
        ("unix:///var/run/docker.sock", "", "http://127.0.0.1:5000"),
        ("unix:///var/run/docker.sock", "0.0.0.0", "http://127.0.0.1:5000"),
        ("unix:///var/run/docker.sock", "10.0.0.1", "http://10.0.0.1:5000"),
        ("unix:///var/run/docker.sock", "::1", "http://[::1]:5000"),
        ("tcp://gpu.example.com:2376", "0.0.0.0", "http://gpu.example.com:5000"),
        ("ssh://ada@gpu.example.com", "", "http://gpu.example.com:5000"),
        ("tcp://[2001:db8::1]:2376", "", "http://[2001:db8::1]:5000"),
    ],
)
def test_a_port_is_reached_where_the_engine_is(engine: str, host: str, url: str) -> None:
    assert format_url(engine_at(engine), host, 5000) == url


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("unix:///var/run/docker.sock", False),
        ("tcp://127.0.0.1:2375", False),
        ("tcp://localhost:2375", False),
        ("ssh://gpu.example.com", True),
    ],
)
def test_an_engine_elsewhere_is_told_from_one_here(host: str, expected: bool) -> None:
    assert is_remote(engine_at(host)) is expected
