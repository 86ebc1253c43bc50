import pytest

from servekit_cli.container.endings import End, explain_end


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (End(0, False), "ended with exit code 0"),
        (End(3, False), "ended with exit code 3"),
        (End(143, False), "was ended by a signal (exit code 143, SIGTERM)"),
        (End(139, False), "was ended by a signal (exit code 139, SIGSEGV)"),
        (End(200, False), "was ended by a signal (exit code 200)"),
        (
            End(137, False),
            "was killed (exit code 137, SIGKILL): by somebody, or by its limit of 200 MiB",
        ),
        (
            End(137, True),
            "ran out of memory and was killed (exit code 137, SIGKILL); it may use 200 MiB: give it more with --memory",
        ),
    ],
)
def test_an_end_is_explained(end: End, text: str) -> None:
    assert explain_end(end, 200 * 1024**2) == text


def test_without_a_limit_it_is_the_hosts_memory() -> None:
    assert "it had no limit of its own" in explain_end(End(137, True), None)


def test_an_engine_that_does_not_tell_of_memory_leaves_it_open() -> None:
    text = explain_end(End(137, ran_out_of_memory=False), None)

    assert text == "was killed (exit code 137, SIGKILL): by somebody, or by a host that is short of memory"
