"""What a build may read and an image may not hold: credentials, and the certificates of this machine."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from servekit.errors import UsageError
from servekit_cli.engine.request import BuildSecret

__all__ = ["CA_SECRET", "find_ca_file", "parse_secret", "read_secrets"]

CA_SECRET: Final = "ca"  # noqa: S105 - its name

_CA_VARIABLES: Final = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
_FORM: Final = "A secret is given as --secret id=NAME,src=FILE or --secret id=NAME,env=VARIABLE."


def read_secrets(options: Iterable[str], environ: Mapping[str, str] = os.environ) -> tuple[BuildSecret, ...]:
    """Read the secrets of a build; the certificates that this machine is told to trust are one by themselves.

    Args:
        options: Each as in `--secret id=NAME,src=FILE`.
        environ: The environment.

    Raises:
        UsageError: One cannot be read, or is given twice.
    """
    secrets: dict[str, BuildSecret] = {}
    for text in options:
        secret = parse_secret(text, environ)
        if secret.id in secrets:
            raise UsageError(f"The secret {secret.id} is given twice.\nGive it once.")
        secrets[secret.id] = secret
    if CA_SECRET not in secrets and (file := find_ca_file(environ)) is not None:
        secrets[CA_SECRET] = BuildSecret(CA_SECRET, file=file)
    return tuple(secrets.values())


def parse_secret(text: str, environ: Mapping[str, str] = os.environ) -> BuildSecret:
    """Read what `--secret` says.

    Raises:
        UsageError: It has another form, or its file or variable is not there.
    """
    fields = {key: value for key, _, value in (part.partition("=") for part in text.split(","))}
    name, file = fields.get("id", ""), fields.get("src") or fields.get("source")
    variable = fields.get("env")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or bool(file) == bool(variable):
        raise UsageError(f"--secret {_without_value(text)} cannot be read.\n{_FORM}")
    if variable:
        if variable not in environ:
            raise UsageError(f"--secret {text}: there is no variable {variable}.\nSet it, or name a file with src=.")
        return BuildSecret(name, value=environ[variable])
    path = Path(file or "").expanduser().absolute()
    if not path.is_file():
        raise UsageError(f"--secret {text}: there is no file {path}.\nCorrect the path.")
    return BuildSecret(name, file=path)


def find_ca_file(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Find the certificates that programs on this machine are told to trust, such as a company's."""
    for name in _CA_VARIABLES:
        if (value := environ.get(name)) and (file := Path(value)).is_file():
            return file.absolute()
    return None


def _without_value(text: str) -> str:
    """Keep what may be the secret itself out of the message."""
    return re.sub(r"=[^,]*", "=...", text)
