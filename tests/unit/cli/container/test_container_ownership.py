import os
import socket
import subprocess

import pytest

from servekit_cli.container.ownership import OWNER, is_orphan, label_owner


def test_what_this_process_has_made_is_no_orphan() -> None:
    assert not is_orphan(label_owner()[OWNER])


def test_what_a_process_has_made_that_is_gone_is_an_orphan() -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()

    assert is_orphan(f"{gone.pid}.1@{socket.gethostname()}")


def test_a_process_that_has_only_the_same_number_is_another_one() -> None:
    assert is_orphan(f"{os.getpid()}.1@{socket.gethostname()}")


@pytest.mark.parametrize("owner", ["1.1@another-host", "", "nonsense", f"x.y@{socket.gethostname()}"])
def test_what_is_not_known_is_left_alone(owner: str) -> None:
    assert not is_orphan(owner)
