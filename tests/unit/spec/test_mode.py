import pytest

from servekit.errors import UsageError
from servekit.spec import wants_training


@pytest.mark.parametrize(
    ("variable", "flag", "wanted"),
    [
        (None, None, None),
        ("", None, None),
        ("true", None, True),
        ("1", None, True),
        ("false", None, False),
        ("true", False, False),
        ("false", True, True),
        (None, True, True),
        ("perhaps", False, False),
    ],
)
def test_the_flag_wins_over_the_variable(variable: str | None, flag: bool | None, wanted: bool | None) -> None:
    environ = {} if variable is None else {"SERVEKIT_TRAIN": variable}

    assert wants_training(environ, flag) is wanted


def test_a_variable_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(UsageError, match='SERVEKIT_TRAIN is "perhaps"; it must be true or false'):
        wants_training({"SERVEKIT_TRAIN": "perhaps"})
