"""Images that an engine has: what they are, and their names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from docker.errors import APIError, ImageNotFound, NotFound

from servekit.errors import ImageError
from servekit_cli.engine.connection import Engine
from servekit_cli.engine.reference import parse_image_name

__all__ = ["ImageFacts", "find_image", "inspect_image", "remove_image", "tag_image"]


@dataclass(frozen=True)
class ImageFacts:
    """What an engine knows of an image.

    Attributes:
        id: `sha256:...`.
        names: All its names, with their tags.
        labels: Its labels.
        size_bytes: Of all its layers, unpacked.
        platform: `linux/amd64` and the like.
        created: When, as RFC 3339 says it.
        layers: The digests of its layers, lowest first.
        environment: The variables that its containers have.
    """

    id: str
    names: tuple[str, ...]
    labels: Mapping[str, str]
    size_bytes: int
    platform: str
    created: str
    layers: tuple[str, ...]
    environment: Mapping[str, str]


def find_image(engine: Engine, name: str) -> ImageFacts | None:
    """Look an image up on the engine; None if it has none of that name or id.

    Raises:
        EngineError: The engine went away.
        ImageError: The engine cannot make anything of the name.
    """
    with engine.faults():
        try:
            image = engine.client.images.get(name)
        except ImageNotFound:
            return None
        except APIError as error:
            raise ImageError(f'The engine cannot look up the image "{name}": {error.explanation}') from error
    return _read(image.attrs)


def inspect_image(engine: Engine, name: str) -> ImageFacts:
    """Look an image up on the engine.

    Raises:
        ImageError: It has none of that name or id.
        EngineError: The engine went away.
    """
    facts = find_image(engine, name)
    if facts is None:
        raise ImageError(
            f'There is no image "{name}" on this engine.\n'
            f"Build it with servekit build -t {name}, or get it with docker pull {name}."
        )
    return facts


def tag_image(engine: Engine, image: str, name: str) -> None:
    """Give an image one more name. An image that had it before loses it.

    Raises:
        UsageError: It cannot be a name.
        ImageError: There is no such image.
        EngineError: The engine went away.
    """
    target = parse_image_name(name)
    with engine.faults():
        try:
            engine.client.images.get(image).tag(target.repository, target.tag)
        except NotFound as error:
            raise ImageError(f'There is no image "{image}" on this engine to name {name}.') from error


def remove_image(engine: Engine, name: str) -> None:
    """Remove a name, and the image with its last one; nothing happens if there is none.

    Raises:
        ImageError: A container uses it.
        EngineError: The engine went away.
    """
    with engine.faults():
        try:
            engine.client.images.remove(name)
        except ImageNotFound:
            return
        except APIError as error:
            raise ImageError(f'The image "{name}" cannot be removed: {error.explanation}') from error


def _read(attributes: Mapping[str, Any]) -> ImageFacts:
    config: Mapping[str, Any] = attributes.get("Config") or {}
    variables = (line.partition("=") for line in config.get("Env") or ())
    file_system: Mapping[str, Any] = attributes.get("RootFS") or {}
    return ImageFacts(
        id=attributes["Id"],
        names=tuple(attributes.get("RepoTags") or ()),
        labels=config.get("Labels") or {},
        size_bytes=attributes.get("Size") or 0,
        platform=f"{attributes.get('Os', '')}/{attributes.get('Architecture', '')}",
        created=attributes.get("Created") or "",
        layers=tuple(file_system.get("Layers") or ()),
        environment={name: value for name, _, value in variables},
    )
