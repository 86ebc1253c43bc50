import pytest

from servekit.errors import UsageError
from servekit.spec import SET_FLAG, Range, ServeSpec
from servekit_cli.container.image import read_image
from servekit_cli.container.settings import choose_mode_variable, collect_variables, override_serve


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


def test_the_authors_settings_become_one_variable() -> None:
    got = collect_variables({"SERVEKIT_SETTINGS": '{"style": "bold", "seed": 1}'}, {SET_FLAG: ["seed=2"]})

    assert got == {"SERVEKIT_SETTINGS": '{"style": "bold", "seed": 2}'}


@pytest.mark.parametrize(
    ("flag", "variable", "expected"),
    [(None, "", {}), (True, "", {"SERVEKIT_TRAIN": "true"}), (False, "true", {"SERVEKIT_TRAIN": "false"})],
)
def test_what_the_container_runs_is_said_by_a_variable(
    flag: bool | None, variable: str, expected: dict[str, str]
) -> None:
    schema = '{"input": {}, "output": {}, "training": {"input": {}, "output": {}}}'
    image = read_image("m", "sha256:0", {"dev.servekit.schema": schema})

    assert choose_mode_variable(image, {"SERVEKIT_TRAIN": variable}, flag) == expected


def test_a_container_is_not_asked_for_trainings_that_it_has_not() -> None:
    image = read_image("m", "sha256:0", {"dev.servekit.schema": '{"input": {}, "output": {}}'})

    with pytest.raises(UsageError, match="m has nothing that trains"):
        choose_mode_variable(image, {}, True)
