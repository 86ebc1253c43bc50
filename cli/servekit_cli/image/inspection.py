"""An image as the engine and its labels describe it, without starting it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from docker.errors import APIError, ImageNotFound

from servekit.errors import ImageError
from servekit_cli.engine import Engine
from servekit_cli.image.labels import ImageFacts, read_labels

__all__ = ["Inspection", "inspect_image"]


@dataclass(frozen=True)
class Inspection:
    """What is known of an image.

    Attributes:
        name: As the user wrote it.
        id: Names this very image, whatever its name stands for later.
        tags: Its names.
        platform: Such as `linux/amd64`.
        size: In bytes, of all its layers.
        created: When the engine made it: RFC 3339.
        facts: What its labels say.
    """

    name: str
    id: str
    tags: tuple[str, ...]
    platform: str
    size: int
    created: str
    facts: ImageFacts

    def to_json(self) -> dict[str, Any]:
        """Give everything as one JSON object."""
        facts = self.facts
        packages = [{"name": package.name, "version": package.version} for package in facts.packages]
        values = asdict(self)
        del values["facts"]
        labelled = {name: getattr(facts, name) for name in _SIMPLE}
        # When it was built is the project's to say; the engine's own time is that of the last change of a label.
        created = facts.created or self.created
        return {
            **values,
            **labelled,
            "created": created,
            "gpu": facts.wants_gpu,
            "schema": facts.schema,
            "spec": facts.spec,
            "packages": packages,
        }


_SIMPLE = ("title", "version", "revision", "source", "servekit", "python")


def inspect_image(engine: Engine, name: str) -> Inspection:
    """Inspect an image by its name or id.

    Raises:
        EngineError: The engine went away.
        ImageError: It is not here, or was not built by servekit.
    """
    with engine.faults():
        try:
            image = engine.client.images.get(name)
        except ImageNotFound:
            raise ImageError(
                f'There is no image "{name}" here.\n'
                f"Fetch it with `docker pull {name}`, or build it: servekit build -t {name}"
            ) from None
        except APIError as error:
            raise ImageError(f"The engine cannot look for the image {name}: {error.explanation}") from error
    attributes: Mapping[str, Any] = image.attrs
    return Inspection(
        name=name,
        id=str(image.id),
        tags=tuple(image.tags),
        platform=f"{attributes.get('Os', 'unknown')}/{attributes.get('Architecture', 'unknown')}",
        size=int(attributes.get("Size", 0)),
        created=str(attributes.get("Created", "")),
        facts=read_labels(name, image.labels),
    )
