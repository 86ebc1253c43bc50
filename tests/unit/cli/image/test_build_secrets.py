from pathlib import Path

import pytest

from servekit.errors import UsageError
from servekit_cli.image.secrets import find_ca_file, parse_secret, read_secrets


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("hunter2")
    return file


def test_a_secret_is_a_file(token: Path) -> None:
    secret = parse_secret(f"id=token,src={token}", {})

    assert (secret.id, secret.file, secret.value) == ("token", token, None)


def test_a_secret_is_a_variable() -> None:
    secret = parse_secret("id=token,env=TOKEN", {"TOKEN": "hunter2"})

    assert (secret.id, secret.file, secret.value) == ("token", None, "hunter2")


@pytest.mark.parametrize(
    "text", ["token", "id=token", "src=/x", "id=a b,src=/x", "id=a,src=/x,env=Y", "id=../a,env=X", ""]
)
def test_another_form_is_told(text: str) -> None:
    with pytest.raises(UsageError, match="--secret id=NAME,src=FILE"):
        parse_secret(text, {})


def test_a_secret_given_by_its_value_is_not_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        parse_secret("id=token,value=hunter2", {})

    assert "hunter2" not in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"there is no file {tmp_path}/none"):
        parse_secret(f"id=a,src={tmp_path}/none", {})


def test_a_missing_variable_is_told() -> None:
    with pytest.raises(UsageError, match="there is no variable TOKEN"):
        parse_secret("id=a,env=TOKEN", {})


def test_a_secret_given_twice_is_told(token: Path) -> None:
    with pytest.raises(UsageError, match="token is given twice"):
        read_secrets([f"id=token,src={token}"] * 2, {})


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"])
def test_the_certificates_of_this_machine_are_passed_by_themselves(token: Path, variable: str) -> None:
    (secret,) = read_secrets([], {variable: str(token)})

    assert (secret.id, secret.file) == ("ca", token)


def test_other_certificates_count_where_they_are_named(token: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.pem"
    own.touch()

    (secret,) = read_secrets([f"id=ca,src={own}"], {"SSL_CERT_FILE": str(token)})

    assert secret.file == own


def test_a_machine_that_names_no_certificates_passes_none(tmp_path: Path) -> None:
    assert find_ca_file({}) is None
    assert find_ca_file({"SSL_CERT_FILE": str(tmp_path / "none")}) is None
