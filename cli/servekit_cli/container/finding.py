"""An image by its name: here, or from its registry."""

from docker.errors import APIError, ImageNotFound

from servekit.errors import ImageError
from servekit_cli.container.image import ModelImage, read_image
from servekit_cli.engine import Engine
from servekit_cli.terminal import show_progress

__all__ = ["find_image"]


def find_image(engine: Engine, name: str, *, pull: bool = False) -> ModelImage:
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
    """
    with engine.faults():
        if pull:
            _pull(engine, name)
        try:
            image = engine.client.images.get(name)
        except ImageNotFound:
            if not _has_registry(name):
                raise ImageError(_not_here(name)) from None
            _pull(engine, name)
            image = engine.client.images.get(name)
        except APIError as error:
            raise ImageError(f"The engine cannot look for the image {name}: {error.explanation}") from error
    return read_image(name, str(image.id), image.labels)


def _pull(engine: Engine, name: str) -> None:
    with show_progress(f"Pulling {name}", done=f"Pulled {name}"):
        try:
            engine.client.images.pull(name)
        except APIError as error:
            raise ImageError(f"{name} cannot be pulled: {error.explanation}\n{_PULL_REMEDY}") from error


_PULL_REMEDY = "Correct the name; or log in to its registry, if it is private: docker login REGISTRY"


def _has_registry(name: str) -> bool:
    """Whether a name begins with the address of a registry, which has a dot or a port, or is this machine."""
    host, slash, _ = name.partition("/")
    return bool(slash) and ("." in host or ":" in host or host == "localhost")


def _not_here(name: str) -> str:
    return (
        f'There is no image "{name}" here.\n'
        f"Build it in the project's folder: servekit build -t {name}\n"
        "If it is at Docker Hub, give --pull."
    )
