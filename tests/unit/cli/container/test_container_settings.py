import pytest

from servekit.errors import UsageError
from servekit.spec import Range, ServeSpec
from servekit_cli.container.settings import collect_variables, override_serve


def test_a_flag_wins_over_a_variable_and_that_over_the_image() -> None:
    image = ServeSpec(workers=Range(2, 2), concurrency=Range(2, 2), port=2)

    serve = override_serve(image, {"SERVEKIT_WORKERS": "3", "PORT": "3"}, {"workers": "4"})

    assert (serve.workers, serve.port, serve.concurrency) == (Range(4, 4), 3, Range(2, 2))


def test_a_value_that_does_not_fit_is_told_by_its_flag() -> None:
    with pytest.raises(UsageError, match='--workers is "many"'):
        override_serve(ServeSpec(), {}, {"workers": "many"})


def test_settings_become_variables_of_the_container() -> None:
    environ = {"SERVEKIT_QUEUE_MAX": "7", "SERVEKIT_TIMEOUT": "9s", "PORT": "80", "HOME": "/root"}

    got = collect_variables(environ, {"timeout": "5s", "allow_shutdown": True, "tracebacks": False, "workers": None})

    assert got == {
        "SERVEKIT_QUEUE_MAX": "7",
        "SERVEKIT_TIMEOUT": "5s",
        "SERVEKIT_PORT": "80",
        "SERVEKIT_ALLOW_SHUTDOWN": "true",
        "SERVEKIT_TRACEBACKS": "false",
    }
