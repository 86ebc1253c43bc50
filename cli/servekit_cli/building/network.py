"""What the steps of a build need of this machine to reach others: its proxies, and what lets them in."""

import os
from collections.abc import Mapping
from typing import Final

from servekit_cli.engine import BuildSecret, Engine
from servekit_cli.image.secrets import CA_SECRET

__all__ = ["read_proxies", "usable_secrets"]

_VARIABLES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")


def read_proxies(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Give this machine's proxies as build arguments.

    These are predefined: they reach every step, and neither the image nor its history.

    Source:
        Dockerfile reference, "Predefined ARGs".
    """
    found: dict[str, str] = {}
    for name in _VARIABLES:
        if value := environ.get(name) or environ.get(name.lower()):
            found[name] = found[name.lower()] = value
    return found


def usable_secrets(engine: Engine, secrets: tuple[BuildSecret, ...]) -> tuple[BuildSecret, ...]:
    """Give the secrets that a build is to be asked for.

    Where an engine takes none, certificates go into the context instead: they are no secret. Any other is left in,
    so that the build says what is missing.
    """
    if engine.features.secrets:
        return secrets
    return tuple(secret for secret in secrets if secret.id != CA_SECRET)
