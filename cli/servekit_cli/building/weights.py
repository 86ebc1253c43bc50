"""Have the weights of a project on the engine, as an image of their own."""

import shutil

from servekit.errors import ImageBuildError
from servekit.spec import Spec
from servekit_cli.engine import BuildRequest, BuildView, Engine, build_image, find_image
from servekit_cli.environment.cache import cache_directory
from servekit_cli.image.context import lock_context
from servekit_cli.image.weights import stage_weights, weights_tag
from servekit_cli.weights import WeightFile, resolve_weights

__all__ = ["provide_weights"]

_MEGABYTE = 1e6
WEIGHTS_LABEL = "dev.servekit.weights"


def provide_weights(engine: Engine, spec: Spec, platform: str | None, view: BuildView) -> str | None:
    """Have an image with the weights of a spec on the engine; one that is there is not built again.

    Args:
        engine: Where the image is to be.
        spec: Whose weights.
        platform: Of the image that will take them in.
        view: Shows what the engine does.

    Returns:
        The image's name; None for a spec without weights, or with a Dockerfile of its own, which cannot name it.

    Raises:
        WeightsError: They are missing, cannot be fetched, or are not what their digests say.
        ImageBuildError: The image could not be built.
        EngineError: The engine went away.
    """
    if spec.build.dockerfile is not None:
        return None
    files = resolve_weights(spec)
    if not files:
        return None
    tag = weights_tag(files)
    if platform is not None:
        tag = f"{tag}-{platform.replace('/', '-')}"
    if find_image(engine, tag) is None:
        _build(engine, files, tag, platform, view)
    return tag


def _build(engine: Engine, files: list[WeightFile], tag: str, platform: str | None, view: BuildView) -> None:
    size = sum(file.size for file in files) / _MEGABYTE
    view.tell(f"Putting the weights into layers of their own, once ({len(files)} files, {size:,.0f} MB).")
    folder = cache_directory() / "builds" / "weights"
    try:
        with lock_context(folder):
            shutil.rmtree(folder, ignore_errors=True)  # what a build left that was killed
            folder.mkdir()
            try:
                stage_weights(files, folder)
                labels = {WEIGHTS_LABEL: tag.rpartition(":")[2]}
                build_image(engine, BuildRequest(folder, tags=(tag,), labels=labels, platform=platform), view)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise ImageBuildError(
            f"The weights cannot be laid out in {folder}: {error.strerror or error}.\n"
            "Make room there, or set SERVEKIT_CACHE_DIR to another folder."
        ) from error
