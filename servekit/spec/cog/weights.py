"""The `weights` section of cog.yaml, as far as servekit's own can express it.

Cog mounts a folder of files at `target`. servekit puts files into the project, which is `/src` in Cog's images.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from servekit.spec.cog.values import ListOf
from servekit.spec.section import Section
from servekit.spec.values import InsidePath, Text, check_no_password, fault, unfit
from servekit.spec.weights import WeightsSpec

__all__ = ["CogWeights", "translate_weights"]

_PROJECT: Final = "/src/"
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)")
_HUB_REPOSITORY: Final = re.compile(r"([^/@]+/[^/@]+)(@[^/@]+)?")
_PATTERN: Final = re.compile(r"[*?\[]")


def _check_uri(uri: str) -> str:
    match = _SCHEME.fullmatch(uri)
    if match is None:
        return uri
    if match[1] not in ("hf", "https", "file"):
        raise unfit("weights come from hf://, https://, file:// or a path", "Name one of these.")
    if match[1] == "hf" and not _HUB_REPOSITORY.fullmatch(match[2]):
        raise unfit(
            "a repository of the Hugging Face hub is hf://owner/name", "Write it so, with @revision if need be."
        )
    if match[1] == "https" and not _name_file(match[2]):
        raise unfit("an https:// source is one file", "Name the file at the end of its path.")
    return check_no_password(uri)


def _check_target(target: str) -> str:
    if not target.startswith("/") or target == "/" or ".." in target.split("/"):
        raise unfit("a target is the absolute path of a folder, and not /", 'Write it as "/src/weights".')
    if not target.startswith(_PROJECT) or posixpath.normpath(target) == posixpath.normpath(_PROJECT):
        raise fault(
            f"weights at {target} would be outside of the project, where servekit puts none",
            "Name a folder below /src, which stands for the project in the image.",
        )
    return posixpath.normpath(target)


def _read_sources(value: Any) -> Any:
    """Take one source, or a text, for a list with only that."""
    # pyright finds the items of a tuple to be unknown, which they are.
    sources: tuple[Any, ...] = value if isinstance(value, tuple) else (value,)  # pyright: ignore[reportUnknownVariableType]
    if not sources:
        raise unfit("weights have at least one source", "Name one, or remove the entry.")
    return tuple({"uri": each} if isinstance(each, str) else each for each in sources)


class CogSource(Section):
    """Where files of weights come from."""

    uri: Annotated[str, AfterValidator(_check_uri)] = Field(
        description="hf://owner/name, https://, file:// or a path, relative to the folder of cog.yaml."
    )
    include: ListOf[InsidePath] = Field(default=(), description="Which files of a repository: their names.")
    exclude: ListOf[Text] = Field(
        default=(), description="Not possible: which files to leave out.", validate_default=True
    )

    @field_validator("include")
    @classmethod
    def _want_names_for_a_repository(cls, include: tuple[str, ...], others: ValidationInfo) -> tuple[str, ...]:
        is_hub = others.data.get("uri", "").startswith("hf://")
        if include and not is_hub:
            raise fault("include chooses files of a repository, and this is none", "Remove it.")
        if any(_PATTERN.search(name) for name in include):
            raise fault("servekit fetches weights file by file, and cannot follow a pattern", "Name each file.")
        return include

    @field_validator("exclude")
    @classmethod
    def _want_no_exclusion(cls, exclude: tuple[str, ...], others: ValidationInfo) -> tuple[str, ...]:
        if exclude:
            raise fault("servekit fetches weights file by file, and leaves none out", "Name each file under include.")
        if others.data.get("uri", "").startswith("hf://") and others.data.get("include") == ():
            raise fault(
                "servekit fetches weights file by file, and no whole repository", "Name each file under include."
            )
        return exclude


class CogWeights(Section):
    """One folder of weights."""

    name: Text | None = Field(default=None, description="What Cog calls them; without effect.")
    target: Annotated[str, AfterValidator(_check_target)] = Field(
        description="The folder in which the predictor finds them: below /src, which is the project."
    )
    source: Annotated[tuple[CogSource, ...], BeforeValidator(_read_sources)] = Field(
        description="Where they come from: one place, or a list of them."
    )


def translate_weights(weights: Iterable[CogWeights]) -> tuple[WeightsSpec, ...]:
    """Say where each file or folder comes from and goes to, as the `weights` of a servekit.yaml."""
    return tuple(
        WeightsSpec(source=source, target=target)
        for entry in weights
        for each in entry.source
        for source, target in _list_files(each, entry.target.removeprefix(_PROJECT))
    )


def _list_files(source: CogSource, folder: str) -> Iterator[tuple[str, str]]:
    match = _SCHEME.fullmatch(source.uri)
    if match is None:
        yield source.uri, folder
    elif match[1] == "file":
        yield match[2], folder
    elif match[1] == "https":
        yield source.uri, f"{folder}/{_name_file(match[2])}"
    elif repository := _HUB_REPOSITORY.fullmatch(match[2]):
        for name in source.include:
            yield f"hf://{repository[1]}/{name}{repository[2] or ''}", f"{folder}/{name}"


def _name_file(address: str) -> str:
    """Give the name of the file that a URL without its scheme leads to; empty if there is none."""
    _, slash, path = address.partition("?")[0].partition("/")
    return posixpath.basename(slash + path)
