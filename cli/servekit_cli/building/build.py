"""Build the image of a project, ask it what is in it, and write the answer on it.

The image is built twice. The first one has no name; it is asked in a container of its own, and a predictor that
cannot be imported ends the build there. The second one is the same with labels and names: every step of it is in
the engine's cache.
"""

import contextlib
import hashlib
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from servekit.errors import ImageBuildError, ImageError
from servekit.spec import Spec
from servekit_cli.building.base import find_base
from servekit_cli.building.memory import Memory
from servekit_cli.building.network import read_proxies, usable_secrets
from servekit_cli.building.weights import provide_weights
from servekit_cli.container.description import describe_image
from servekit_cli.container.ownership import sweep
from servekit_cli.ending import terminable
from servekit_cli.engine import (
    BuildRequest,
    BuildSecret,
    BuildView,
    Engine,
    build_image,
    check_tag,
    find_image,
    make_view,
    remove_image,
)
from servekit_cli.environment.cache import cache_directory
from servekit_cli.image.context import lock_context, prune_contexts, sync_context
from servekit_cli.image.description import Description
from servekit_cli.image.labels import CREATED, VERSION, make_labels
from servekit_cli.image.preparation import EngineFacts, prepare_build
from servekit_cli.image.secrets import find_ca_file
from servekit_cli.image.source import read_source
from servekit_cli.terminal import say

__all__ = ["BuildOptions", "BuiltImage", "build_project", "name_image"]


@dataclass(frozen=True)
class BuildOptions:
    """How an image is built.

    Attributes:
        names: What it is called; at least one.
        secrets: What steps may read; the engine's features decide whether that works.
        platform: As `linux/arm64`; None for the engine's own.
        network: The network of the steps; None for the engine's default.
        no_cache: Whether every step runs anew.
        pull: Whether base images are asked for at their registry even if they are here.
        source_date_epoch: Seconds since 1970 for the times in the image; None for those of the build.
    """

    names: tuple[str, ...]
    secrets: tuple[BuildSecret, ...] = ()
    platform: str | None = None
    network: str | None = None
    no_cache: bool = False
    pull: bool = False
    source_date_epoch: int | None = None


@dataclass(frozen=True)
class BuiltImage:
    """An image that was built.

    Attributes:
        id: `sha256:...`.
        description: What is in it.
        created: When, as its label says.
        version: Of the project, if it has one.
    """

    id: str
    description: Description
    created: str
    version: str | None


def name_image(spec: Spec) -> str:
    """Give the name of a project's image: the spec's, or else that of its folder in the letters that are allowed."""
    if spec.image is not None:
        return spec.image
    return re.sub(r"[^a-z0-9]+", "-", spec.root.name.lower()).strip("-") or "servekit-model"


def build_project(engine: Engine, spec: Spec, options: BuildOptions, view: BuildView) -> BuiltImage:
    """Build the image of a project.

    Args:
        engine: What builds it.
        spec: The project.
        options: How.
        view: Shows what the engine does.

    Raises:
        UsageError: A name is none, or secrets cannot be passed.
        ImageBuildError: A step failed, or the project cannot be built.
        SetupError: The predictor's module cannot be imported; with its traceback.
        PredictorError: It has no predictor that can be used.
        WeightsError: Weights are missing or wrong.
        EnvironmentBuildError: What a file says of the dependencies cannot be used.
        EngineError: The engine went away.
    """
    for name in options.names:
        check_tag(name)
    options = replace(options, secrets=usable_secrets(engine, options.secrets))
    with terminable():  # so that neither a container nor a folder is left behind
        return _build_all(engine, spec, options, view)


def _build_all(engine: Engine, spec: Spec, options: BuildOptions, view: BuildView) -> BuiltImage:
    if options.source_date_epoch is not None and not engine.features.epoch:
        say(f"Note: engine {engine.features.engine_version} does not set an image's time to SOURCE_DATE_EPOCH.")
    weights = provide_weights(engine, spec, options.platform, view)
    facts = _list_engine_facts(engine, spec, options, weights)
    try:
        return _build_with(engine, spec, facts, options, view)
    except ImageBuildError:
        base = facts.base_image
        if base is None or find_image(engine, base) is not None:
            raise
    view.tell(f"The base image {base} was removed meanwhile. Building without it...")
    return _build_with(engine, spec, replace(facts, base_image=None), options, view)


def _build_with(engine: Engine, spec: Spec, facts: EngineFacts, options: BuildOptions, view: BuildView) -> BuiltImage:
    preparation = prepare_build(spec, facts)
    for note in preparation.notes:
        say(f"Note: {note}")
    folder = _context_of(spec)
    with lock_context(folder):
        sync_context(folder, preparation.entries)
        prune_contexts(folder.parent)
        return _build(engine, spec, options, _make_request(folder, options), view)


def _build(engine: Engine, spec: Spec, options: BuildOptions, request: BuildRequest, view: BuildView) -> BuiltImage:
    nameless = build_image(engine, request, view)
    try:
        memory = Memory(nameless)
        if memory.description is None:
            view.tell("Importing the predictor in the image...")
            sweep(engine)  # a build that was killed has left the container that it asked
            memory.description = describe_image(
                engine, nameless, platform=options.platform, seconds=spec.serve.setup_timeout
            )
        labels = memory.keep_time(make_labels(spec, memory.description, read_source(spec.root)))
        image_id = _find_labelled(engine, memory, labels, options.names)
        if image_id is None:
            named = replace(request, labels=labels, tags=options.names, no_cache=False, pull=False)
            image_id = build_image(engine, named, make_view("quiet"))
            memory.save(labels, image_id)
    finally:
        _drop(engine, nameless)
    return BuiltImage(image_id, memory.description, labels[CREATED], labels.get(VERSION))


def _find_labelled(engine: Engine, memory: Memory, labels: dict[str, str], names: tuple[str, ...]) -> str | None:
    """Give the id of the last build's image if it is what this build would make, and has all the names already."""
    if labels != memory.labels:
        return None
    found = {image.id if (image := find_image(engine, name)) is not None else None for name in names}
    return memory.labelled if found == {memory.labelled} else None


def _drop(engine: Engine, image_id: str) -> None:
    """Remove the nameless image; the steps behind it stay in the engine's cache."""
    image = find_image(engine, image_id)
    if image is None or image.names:
        return
    with contextlib.suppress(ImageError):  # something is built on it or runs it; it costs nothing then
        remove_image(engine, image_id)


def _list_engine_facts(engine: Engine, spec: Spec, options: BuildOptions, weights: str | None) -> EngineFacts:
    features = engine.features
    return EngineFacts(
        has_mounts=features.mounts,
        has_links=features.link,
        secrets=tuple(secret.id for secret in options.secrets),
        ca_file=None if features.secrets else find_ca_file(),
        base_image=find_base(engine, spec, options.platform),
        weights_image=weights,
    )


def _make_request(folder: Path, options: BuildOptions) -> BuildRequest:
    return BuildRequest(
        folder,
        build_args=read_proxies(),
        secrets=options.secrets,
        platform=options.platform,
        network=options.network,
        no_cache=options.no_cache,
        pull=options.pull,
        source_date_epoch=options.source_date_epoch,
    )


def _context_of(spec: Spec) -> Path:
    """Give the folder of a project's build context; it is kept, so that the engine is sent only what changed."""
    key = hashlib.sha256(os.fsencode(spec.path.resolve())).hexdigest()[:16]
    return cache_directory() / "builds" / f"{name_image(spec).rpartition('/')[2].partition(':')[0]}-{key}"
