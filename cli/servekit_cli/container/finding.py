"""An image by its name: here, or from its registry."""

from servekit.errors import ImageError
from servekit_cli.container.image import ModelImage, read_image
from servekit_cli.engine import Engine, find_image, inspect_image, pull_image
from servekit_cli.terminal import show_progress

__all__ = ["find_model_image"]


def find_model_image(engine: Engine, name: str, *, pull: bool = False) -> ModelImage:
    """Find an image that servekit has built.

    One that is not here is asked for at its registry, if its name has one; a name without would be looked
    for at Docker Hub, where anybody may have taken it.

    Args:
        engine: Where to look.
        name: As the user wrote it.
        pull: Ask the registry in any case.

    Raises:
        EngineError: The engine went away.
        ImageError: It is nowhere, or was not built by servekit.
        UsageError: It cannot be the name of an image.
    """
    facts = None if pull else find_image(engine, name)
    if facts is None:
        if not pull and not _has_registry(name):
            raise ImageError(_not_here(name))
        _pull(engine, name)
        facts = inspect_image(engine, name)
    return read_image(name, facts.id, facts.labels)


def _pull(engine: Engine, name: str) -> None:
    with show_progress(f"Pulling {name}", done=f"Pulled {name}") as progress:
        pull_image(engine, name, lambda far: progress.update(f"Pulling {name}: {far}"))


def _has_registry(name: str) -> bool:
    """Whether a name begins with the address of a registry, which has a dot or a port, or is this machine."""
    host, slash, _ = name.partition("/")
    return bool(slash) and ("." in host or ":" in host or host == "localhost")


def _not_here(name: str) -> str:
    return (
        f'There is no image "{name}" on this engine.\n'
        f"Build it in the project's folder: servekit build -t {name}\n"
        "If it is at Docker Hub, give --pull."
    )
