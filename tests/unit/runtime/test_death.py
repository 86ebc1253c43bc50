"""Why workers end, as a cause that is counted and as words that are read."""

import signal

import pytest

from servekit.runtime.death import DeathCause, describe_exit, find_cause


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (0, DeathCause.EXIT),
        (3, DeathCause.EXIT),
        (-signal.SIGKILL, DeathCause.SIGKILL),
        (-signal.SIGSEGV, DeathCause.SIGSEGV),
        (-signal.SIGUSR1, DeathCause.SIGNAL),
        (-signal.SIGRTMIN - 5, DeathCause.SIGNAL),
    ],
)
def test_an_exit_code_has_a_cause(code: int, cause: DeathCause) -> None:
    assert find_cause(code) is cause


def test_words_do_not_blame_the_kernel_for_what_the_server_did() -> None:
    told = describe_exit(-signal.SIGKILL, DeathCause.DISCONNECTED)

    assert "closed its connection" in told
    assert "out-of-memory" not in told
