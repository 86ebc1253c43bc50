"""An image as the engine and its labels describe it, without starting it."""

from dataclasses import asdict, dataclass
from typing import Any

from servekit_cli.engine import Engine, inspect_image
from servekit_cli.image.labels import LabelFacts, read_labels

__all__ = ["Inspection", "inspect"]


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
    facts: LabelFacts

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


def inspect(engine: Engine, name: str) -> Inspection:
    """Inspect an image by its name or id.

    Raises:
        EngineError: The engine went away.
        ImageError: It is not here, or was not built by servekit.
    """
    image = inspect_image(engine, name)
    return Inspection(
        name=name,
        id=image.id,
        tags=image.names,
        platform=image.platform,
        size=image.size_bytes,
        created=image.created,
        facts=read_labels(name, image.labels),
    )
