"""The socket that the server listens on."""

import socket

import pytest

from servekit.errors import ListenError
from servekit.server.listener import describe_address, describe_listener, open_listener


def test_any_free_port_is_found_and_told() -> None:
    with open_listener("127.0.0.1", 0, stall_seconds=60) as listener:
        port = listener.getsockname()[1]

        assert describe_address(listener) == f"http://127.0.0.1:{port}"
        socket.create_connection(("127.0.0.1", port), 5).close()


def test_an_address_for_all_is_told_as_one_that_can_be_opened() -> None:
    with open_listener("0.0.0.0", 0, stall_seconds=60) as listener:
        assert describe_address(listener).startswith("http://127.0.0.1:")


def test_a_person_is_told_that_it_listens_for_all_and_where_to_find_it() -> None:
    with open_listener("0.0.0.0", 0, stall_seconds=60) as listener:
        port = listener.getsockname()[1]

        assert describe_listener(listener) == f"0.0.0.0:{port}, on this machine http://127.0.0.1:{port}"


def test_a_person_is_told_the_url_of_what_listens_on_one_address() -> None:
    with open_listener("127.0.0.1", 0, stall_seconds=60) as listener:
        assert describe_listener(listener) == describe_address(listener)


def test_a_taken_port_is_told_with_the_way_out() -> None:
    with open_listener("127.0.0.1", 0, stall_seconds=60) as listener:
        port = listener.getsockname()[1]

        with pytest.raises(ListenError, match=f"port {port} is taken by another process; choose another with --port"):
            open_listener("127.0.0.1", port, stall_seconds=60)


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(ListenError, match=r"192\.0\.2\.1 is no address of this machine"):
        open_listener("192.0.2.1", 0, stall_seconds=60)


def test_a_name_that_is_none_is_told() -> None:
    with pytest.raises(ListenError, match="cannot listen on no such name"):
        open_listener("no such name", 0, stall_seconds=60)
