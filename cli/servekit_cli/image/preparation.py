"""From a spec to everything that an engine needs to build its image; nothing is built here."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from servekit.errors import ImageBuildError
from servekit.spec import SPEC_NAMES, Spec
from servekit_cli.environment.cache import cache_directory
from servekit_cli.environment.requirements import describe_provided, read_server_requirements
from servekit_cli.image.context import ContextEntry
from servekit_cli.image.dependencies import Installation, plan_installation
from servekit_cli.image.facts import BuildFacts
from servekit_cli.image.files import CONTEXT_MARKER, ProjectFile, ProjectFiles, find_project_files
from servekit_cli.image.layout import LAYOUTS
from servekit_cli.image.lock import LOCK_NAME, Lock, read_lock
from servekit_cli.image.plan import plan_dockerfile
from servekit_cli.image.render import render_dockerfile
from servekit_cli.image.wheel import OwnSource, find_own_source
from servekit_cli.weights import WeightFile, resolve_weights

__all__ = ["EngineFacts", "Preparation", "prepare_build"]

_LARGE_BYTES: Final = 1_000_000_000
_GIGABYTE: Final = 1e9
_LISTED: Final = 5


@dataclass(frozen=True)
class EngineFacts:
    """What the engine can do and has, as far as the Dockerfile depends on it.

    Attributes:
        has_mounts: Whether it builds with BuildKit.
        has_links: Whether it knows `COPY --link`.
        secrets: The ids of the secrets that are passed to the build.
        ca_file: Certificates to trust where secrets cannot be passed; they go into the context.
        base_image: A base image of servekit's that fits.
        weights_image: The image with the spec's weights.
    """

    has_mounts: bool = True
    has_links: bool = True
    secrets: tuple[str, ...] = ()
    ca_file: Path | None = None
    base_image: str | None = None
    weights_image: str | None = None


@dataclass(frozen=True)
class Preparation:
    """A build that can begin.

    Attributes:
        dockerfile: The Dockerfile's text, which is among the entries as well.
        entries: The whole build context.
        notes: What the user should know, each in a sentence or two.
    """

    dockerfile: str
    entries: tuple[ContextEntry, ...]
    notes: tuple[str, ...]


def prepare_build(spec: Spec, engine: EngineFacts, weights: Iterable[WeightFile] = ()) -> Preparation:
    """Find out all that goes into an image.

    Args:
        spec: What to build.
        engine: Who builds.
        weights: Put into the context, below `weights/`; for builds without a weights image. For a Dockerfile
            of the project's own they always are.

    Raises:
        EnvironmentBuildError: What a file says about the dependencies cannot be used.
        ImageBuildError: The project or the engine does not allow it.
        WeightsError: Weights are missing or wrong.
    """
    if spec.build.dockerfile is not None and spec.weights:
        weights = resolve_weights(spec)  # whoever writes it does not know the name of a weights image
    weights = tuple(weights)
    project = find_project_files(spec.root, _list_weight_paths(spec))
    _check_predictor(spec, project)
    lock = read_lock(spec)
    own = find_own_source()
    runtime = read_server_requirements()
    installation = plan_installation(spec, runtime, project.files, lock)
    facts = BuildFacts(
        servekit_version=own.version,
        runtime_requirements=runtime,
        uv=f"uv=={version('uv')}",
        servekit_wheel=own.wheel,
        has_mounts=engine.has_mounts,
        has_links=engine.has_links,
        secrets=engine.secrets,
        has_ca_file=engine.ca_file is not None,
        has_lock=lock is not None,
        requires_hashes=lock is not None and lock.has_all_hashes,
        installs=installation.arguments,
        install_folder=installation.folder,
        has_local_folders=installation.has_local_folders,
        base_image=engine.base_image,
        weights_image=engine.weights_image,
        has_weights_folder=bool(weights),
    )
    dockerfile = _read_dockerfile(spec) or render_dockerfile(plan_dockerfile(spec, facts))
    entries = (
        ContextEntry("Dockerfile", text=dockerfile),
        ContextEntry(CONTEXT_MARKER, text=f"Made by servekit {own.version} from {spec.path.name}.\n"),
        *_list_own(own, engine),
        *_list_installation(spec.root, installation),
        *_list_project(spec, project.files),
        *(ContextEntry(f"weights/{file.target}", source=file.path) for file in weights),
    )
    return Preparation(dockerfile, entries, tuple(_list_notes(spec, project, lock)))


def _check_predictor(spec: Spec, project: ProjectFiles) -> None:
    """Refuse at once what a container would refuse at the end of the build: a predictor whose file is not in it."""
    place = Path(spec.predictor.rpartition(":")[0])
    file = place.as_posix()
    if place.suffix != ".py" or not (spec.root / place).is_file() or file.startswith(("/", "../")):
        return  # a module, or a file that is not there, of which the import says more
    if all(each.path != file for each in project.files):
        raise ImageBuildError(
            f"{file}, which is the predictor, does not get into the image: .dockerignore leaves it out.\n"
            f"Take the line out that does so, or add one behind it: !{file}"
        )


def _list_weight_paths(spec: Spec) -> Iterator[str]:
    """List what is in the project as weights, and so in layers of its own."""
    for entry in spec.weights:
        yield entry.target
        if not entry.is_remote:
            yield entry.source


def _read_dockerfile(spec: Spec) -> str | None:
    if spec.build.dockerfile is None:
        return None
    file = spec.root / spec.build.dockerfile
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ImageBuildError(
            f"{file}, which build.dockerfile names, cannot be read: {error}.\nMake it, or correct the name."
        ) from error


def _list_own(own: OwnSource, engine: EngineFacts) -> Iterator[ContextEntry]:
    if own.wheel is not None:
        yield ContextEntry(f".servekit/{own.wheel}", source=_write_wheel(own))
    if engine.ca_file is not None:
        yield ContextEntry(".servekit/ca.pem", source=engine.ca_file)


def _write_wheel(own: OwnSource) -> Path:
    folder = cache_directory() / "wheels"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return own.write_wheel(folder)
    except OSError as error:
        raise ImageBuildError(
            f"servekit's own package is kept in {folder}, and nothing can be made there: {error.strerror}.\n"
            "Set SERVEKIT_CACHE_DIR to a folder that can be written to."
        ) from error


def _list_installation(root: Path, installation: Installation) -> Iterator[ContextEntry]:
    prefix = ".servekit/install"
    if installation.folder is not None:
        yield ContextEntry(f"{prefix}/{installation.folder}")
    for path, text in installation.texts.items():
        yield ContextEntry(f"{prefix}/{path}", text=text)
    for path, source in installation.sources.items():
        yield ContextEntry(f"{prefix}/{path}", source=root / source)


def _list_project(spec: Spec, files: Iterable[ProjectFile]) -> Iterator[ContextEntry]:
    name = LAYOUTS[spec.dialect].spec_name
    instead = _list_found_instead(name)
    yield ContextEntry("app")
    for file in files:
        path = f"app/{file.path}"
        if file.kind == "link":
            yield ContextEntry(path, link=file.target)
        elif file.kind == "folder":
            yield ContextEntry(path)
        elif file.path not in instead:
            yield ContextEntry(path, source=spec.root / file.path)
    yield ContextEntry(f"app/{name}", source=spec.path)


def _list_found_instead(name: str) -> list[str]:
    """List the names of specs that an image would find before this one, and the name itself."""
    names = list(SPEC_NAMES.values())
    return names[: names.index(name) + 1]


def _list_notes(spec: Spec, project: ProjectFiles, lock: Lock | None) -> Iterator[str]:
    yield from spec.warnings
    if provided := describe_provided(spec):
        yield provided
    if lock is not None and not lock.is_current:
        yield (
            f"{LOCK_NAME} was made from other dependencies than those of today, and is used all the same.\n"
            "Bring it up to date with `servekit lock`."
        )
    if project.withheld:
        yield (
            f"Left out, because they look like credentials: {_enumerate(project.withheld)}.\n"
            "To take one in, add a line such as "
            f"`!{project.withheld[0]}` to .dockerignore; better, pass it when the container starts."
        )
    if project.skipped:
        yield f"Left out: {_enumerate(project.skipped)}."
    size = sum(file.size for file in project.files)
    if size > _LARGE_BYTES:
        largest = sorted(project.files, key=lambda file: -file.size)[:_LISTED]
        listed = "\n".join(f"  {file.size / _GIGABYTE:6.2f} GB  {file.path}" for file in largest)
        yield (
            f"The project has {size / _GIGABYTE:.1f} GB of files. The largest:\n{listed}\n"
            f"Name what the predictor loads under `weights` in {spec.path.name}, so that it gets a layer of its own, "
            "and the rest in .dockerignore."
        )


def _enumerate(names: tuple[str, ...]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
