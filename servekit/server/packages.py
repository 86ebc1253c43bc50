"""What is installed around the server: Python distributions and the packages of a Debian system."""

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Final

__all__ = ["list_packages", "list_system_packages", "read_distribution"]

_STATUS: Final = Path("/var/lib/dpkg/status")
_OS_RELEASE: Final = Path("/etc/os-release")
_MAX_LICENSE: Final = 100
"""Longer ones are the text of a licence, where its name should stand."""


def list_packages() -> list[dict[str, str]]:
    """List every installed Python distribution by name, with its version and, where it names one, its licence."""
    found: dict[str, dict[str, str]] = {}
    for distribution in distributions():
        # Half removed ones have no name. The first one on the path is the one that is imported.
        if name := _field(distribution, "Name"):
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), _describe(name, distribution))
    return [found[key] for key in sorted(found)]


def _describe(name: str, distribution: Distribution) -> dict[str, str]:
    license_name = _find_license(distribution)
    described = {"name": name, "version": _field(distribution, "Version")}
    return {**described, "license": license_name} if license_name else described


def _find_license(distribution: Distribution) -> str | None:
    """Find the name of a licence where the editions of Python's metadata keep it, the most exact one first."""
    if expression := _field(distribution, "License-Expression"):
        return expression
    classifiers = distribution.metadata.get_all("Classifier", [])
    classifiers = [each for each in classifiers if each.startswith("License :: ")]
    names = [each.rpartition(" :: ")[2] for each in classifiers if not each.endswith(":: OSI Approved")]
    if names:
        return " or ".join(names)
    text = _field(distribution, "License").strip()
    return text if 0 < len(text) <= _MAX_LICENSE and "\n" not in text and text != "UNKNOWN" else None


def _field(distribution: Distribution, name: str) -> str:
    """Return a field of the metadata, or nothing; asking for one that is not there by `[...]` is on its way out."""
    values: list[str] = distribution.metadata.get_all(name, [])
    return values[0] if values else ""


def list_system_packages(status: Path = _STATUS) -> list[dict[str, str]]:
    """List what dpkg has installed: name, version and architecture; nothing on a system without dpkg."""
    try:
        text = status.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    found = [
        {"name": fields["Package"], "version": fields["Version"], "arch": fields["Architecture"]}
        for fields in _read_paragraphs(text)
        if fields.get("Status", "").endswith(" installed")
    ]
    return sorted(found, key=lambda package: (package["name"], package["arch"]))


def _read_paragraphs(text: str) -> Iterator[dict[str, str]]:
    for paragraph in text.split("\n\n"):
        lines = (line.partition(": ") for line in paragraph.splitlines() if not line.startswith(" "))
        yield {name: value for name, _, value in lines}


def read_distribution(file: Path = _OS_RELEASE) -> dict[str, str]:
    """Name the Linux distribution: `id` and `version`, as far as /etc/os-release has them (os-release(5))."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    values = {name: value.strip("\"'") for name, _, value in (line.partition("=") for line in lines)}
    return {key: values[name] for key, name in (("id", "ID"), ("version", "VERSION_ID")) if values.get(name)}
