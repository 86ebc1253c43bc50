"""What an error means on the command line, where it was made for clients and authors of every kind."""

from servekit.errors import SetupError
from servekit.runtime.failure import hint_at_package

__all__ = ["add_package_hint"]


def add_package_hint(error: SetupError) -> SetupError:
    """Say where a package goes, if an error comes from one that is missing."""
    hint = hint_at_package(str(error))
    return error if hint is None else SetupError(f"{error}\n{hint}")
