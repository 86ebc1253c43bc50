"""Names of images."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from servekit.errors import UsageError

__all__ = ["ImageName", "check_tag", "parse_image_name"]

# The grammar is that of the package `reference` of the distribution project (github.com/distribution/reference).
_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL: Final = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST: Final = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::\d+)?"
_NAME: Final = re.compile(rf"(?P<repository>(?:{_HOST}/)?{_PART}(?:/{_PART})*)(?::(?P<tag>[^:/]+))?")
_TAG: Final = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_LONGEST: Final = 255
_HEXADECIMAL_ID: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ImageName:
    """An image's name in parts.

    Attributes:
        repository: All before the tag, the registry's address included.
        tag: `latest` if none was given; `sha256:...` for what has a digest instead.
    """

    repository: str
    tag: str

    def __str__(self) -> str:
        return f"{self.repository}{'@' if ':' in self.tag else ':'}{self.tag}"


def parse_image_name(text: str, *, may_have_digest: bool = False) -> ImageName:
    """Take an image's name apart.

    Args:
        text: `my-model`, `registry.example.com:5000/team/my-model:v2`.
        may_have_digest: Whether it may name one very image, `my-model@sha256:...`.

    Raises:
        UsageError: It is none; the message says which part and what is allowed.
    """
    name, at, digest = text.partition("@")
    if at and may_have_digest and _DIGEST.fullmatch(digest):
        return ImageName(parse_image_name(name).repository, digest)
    check_tag(text)
    repository, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:  # a colon before a slash is a port's
        return ImageName(text, "latest")
    return ImageName(repository, tag)


def check_tag(text: str) -> None:
    """Make sure that a text can be an image's name.

    Raises:
        UsageError: It cannot; the message says which part and what is allowed.
    """
    fault = next(_find_faults(text), None)
    if fault is not None:
        raise UsageError(f'"{text}" cannot be the name of an image: {fault}\nNames look like {_EXAMPLE}')


_EXAMPLE: Final = "my-model, my-model:v2 or registry.example.com:5000/team/my-model:v2."


def _find_faults(text: str) -> Iterator[str]:
    found = _NAME.fullmatch(text)
    if "@" in text:
        yield "a digest is made by the registry, and cannot be given."
    elif found is None and text != text.lower() and _NAME.fullmatch(text.lower()):
        yield "capital letters are allowed in the tag only."
    elif found is None:
        yield "only small letters, digits, and single . _ - / between them are allowed."
    elif found["tag"] is not None and not _TAG.fullmatch(found["tag"]):
        yield "the tag after the colon must begin with a letter, digit or _, and go on with these, . or -, up to 128."
    elif len(found["repository"]) > _LONGEST:
        yield f"it has {len(found['repository'])} characters; {_LONGEST} are allowed."
    elif _HEXADECIMAL_ID.fullmatch(found["repository"]):
        yield "64 hexadecimal digits are an image's id."
