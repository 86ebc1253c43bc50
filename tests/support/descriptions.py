"""What an image could say of itself."""

from typing import Any

from servekit_cli.image.description import Description, Package

__all__ = ["make_description"]


def make_description(**changes: Any) -> Description:
    """Make a description, with a Debian system below a few packages."""
    values: dict[str, Any] = {
        "schema": {"input": {"type": "object", "properties": {}}, "output": {"type": "string"}, "streams": False},
        "servekit": "0.1.0",
        "python": "3.12.1",
        "packages": (
            Package("MarkupSafe", "3.0", license="BSD-3-Clause"),
            Package("both", "1.0", license="MIT OR Apache-2.0"),
            Package("plain", "2.0"),
            Package("typing_extensions", "4.1", license="Python Software Foundation License"),
        ),
        "system_packages": (Package("zlib1g", "1:1.3", arch="amd64"),),
        "distribution": {"id": "debian", "version": "12"},
    }
    return Description(**{**values, **changes})
