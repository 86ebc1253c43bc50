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


def test_a_kill_by_the_kernel_is_a_cause_of_its_own() -> None:
    causes = [find_cause(-signal.SIGKILL, is_oom=is_oom) for is_oom in (True, False, None)]

    assert causes == [DeathCause.OOM, DeathCause.SIGKILL, DeathCause.SIGKILL]


def test_an_exit_code_is_named() -> None:
    assert "exited with code 7" in describe_exit(7)


def test_a_signal_is_named_with_its_likely_cause() -> None:
    assert describe_exit(-signal.SIGSEGV).endswith("SIGSEGV: a segmentation fault in native code that the model uses")


def test_a_signal_without_a_name_is_given_by_its_number() -> None:
    assert describe_exit(-40) == "the worker process was ended by signal 40"


@pytest.mark.parametrize(
    ("is_oom", "cause"),
    [
        (True, "the kernel's out-of-memory killer ended it. Give the container more memory"),
        (False, "somebody's kill -9; the kernel's out-of-memory killer has not struck here"),
        (None, "most likely the kernel's out-of-memory killer, or somebody's kill -9"),
    ],
)
def test_the_cause_of_a_sigkill_is_as_sure_as_the_kernel_makes_it(*, is_oom: bool | None, cause: str) -> None:
    assert cause in describe_exit(-signal.SIGKILL, is_oom=is_oom)
