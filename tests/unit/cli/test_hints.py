from servekit.errors import SetupError
from servekit_cli.hints import add_package_hint


def test_a_missing_package_is_told_where_it_belongs() -> None:
    error = SetupError("it could not be imported\n\nModuleNotFoundError: No module named 'x'")

    assert "A missing package belongs under build in the spec" in str(add_package_hint(error))


def test_another_failure_of_setup_stays_as_it_is() -> None:
    error = SetupError("ZeroDivisionError: division by zero")

    assert add_package_hint(error) is error
