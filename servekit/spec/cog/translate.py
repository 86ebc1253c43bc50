"""From a checked cog.yaml to the fields of a servekit.yaml, and what of it is to be told."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from servekit.spec.build import SUPPORTED_PYTHONS, BuildSpec, CommandSpec
from servekit.spec.cog.cuda import name_cuda_image
from servekit.spec.cog.file import CogBuild, CogFile
from servekit.spec.cog.slots import Declaration, read_declaration
from servekit.spec.cog.values import split_line
from servekit.spec.cog.weights import translate_weights
from servekit.spec.serve import ServeSpec
from servekit.spec.translation import Notice, Translation

__all__ = ["translate"]

# Where servekit's own defaults would break what Cog promises to a model or a client. Everything else is as for
# servekit's own projects: limits that Cog lacks, such as those of outputs, logs and fetched files, stay.
_DEFAULTS: Final[dict[str, object]] = {
    # A full server refuses at once; whoever calls it has a queue of its own.
    "queue": {"max": 0},
    # Cog has a limit for none of the three. Predictions may go on and on; a setup and a shutdown that take an
    # hour are taken for stuck.
    "timeout": None,
    "setup_timeout": "1h",
    "shutdown_grace": "1h",
    "max_body": "100MiB",
    "allow_shutdown": True,
}


def translate(file: CogFile, root: Path) -> Translation:
    """Say what a cog.yaml means in the words of a servekit.yaml.

    Args:
        file: What it holds.
        root: The folder that it stands in, where the predictor's source may say how many predictions run at once.
    """
    has_predictor = bool(file.run or file.predict)
    predictor = str(file.run or file.predict or file.train)
    # What trains has one slot, whatever it says.
    declaration = read_declaration(root, predictor) if has_predictor else None
    values: dict[str, object] = {
        "predictor": predictor,
        "trainer": file.train,
        # What has nothing but a training is run for that, whatever asks.
        "mode": "predict" if has_predictor else "train",
        "image": file.image or file.model,
        "build": _translate_build(file.build, dict(map(split_line, file.environment))),
        "weights": translate_weights(file.weights),
        "serve": ServeSpec.model_validate({**_DEFAULTS, "concurrency": _count_slots(file, declaration)}),
    }
    return Translation(values, (*_list_notices(file), *_list_slot_notices(file, declaration)))


def _count_slots(file: CogFile, declaration: Declaration | None) -> int:
    """Give the number of slots: as in Cog, what stands in the file counts, even if the code says another."""
    if declaration is None or declaration.slots is None or _has_slots(file):
        return file.concurrency.max
    return declaration.slots


def _has_slots(file: CogFile) -> bool:
    return "max" in file.concurrency.model_fields_set


def _translate_build(build: CogBuild, environment: dict[str, str]) -> BuildSpec:
    commands = [
        *(
            CommandSpec(command=each.command, secrets={mount.id: mount.target for mount in each.mounts})
            for each in build.run
        ),
        *(CommandSpec(command=command) for command in build.pre_install),
    ]
    return BuildSpec(
        python_version=_translate_python(build),
        python_requirements=build.python_requirements,
        python_packages=build.python_packages,
        system_packages=_translate_system_packages(build.system_packages),
        run=tuple(commands),
        gpu=build.gpu,
        cuda=name_cuda_image(build.cuda) if build.cuda and build.gpu else None,
        environment=environment,
    )


_RENAMED: Final = {"libgl1-mesa-glx": "libgl1"}
"""Packages that Ubuntu 22.04, on which Cog builds, has under an old name as well, and Debian 13 has not."""


def _translate_system_packages(packages: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_RENAMED.get(package, package) for package in packages))


def _translate_python(build: CogBuild) -> str:
    wanted = ".".join((build.python_version or "").split(".")[:2])
    return wanted if wanted in SUPPORTED_PYTHONS else SUPPORTED_PYTHONS[0]


def _list_notices(file: CogFile) -> Iterator[Notice]:
    if file.predict is not None:
        yield Notice(("predict",), 'deprecated field "predict": use "run" instead.')
    if file.concurrency.default_target is not None:
        yield Notice(("concurrency", "default_target"), "concurrency.default_target has no effect.")
    if file.observability.traces.enabled:
        yield Notice(("observability",), "observability has no effect: servekit sends no traces.")
    yield from _list_build_notices(file.build)


def _list_slot_notices(file: CogFile, declaration: Declaration | None) -> Iterator[Notice]:
    if declaration is not None and declaration.slots is None:
        text = (
            f"the max of @concurrent at {declaration.place} cannot be read: it has to be a whole number, written out."
        )
        yield Notice(("run" if file.run else "predict",), text)
    if _has_slots(file):
        is_declared = declaration is not None and declaration.slots is not None
        effect = "@concurrent(max=N) has no effect beside it" if is_declared else "use @concurrent(max=N)"
        yield Notice(("concurrency", "max"), f'deprecated field "concurrency.max": {effect}.')


def _list_build_notices(build: CogBuild) -> Iterator[Notice]:
    written, taken = str(build.python_version), _translate_python(build)
    if written != taken:
        reason = (
            "of which the newest release is used" if written.startswith(taken) else "the oldest that servekit runs on"
        )
        yield Notice(("build", "python_version"), f'build.python_version "{written}" is taken as "{taken}", {reason}.')
    if build.python_packages:
        text = (
            'deprecated field "build.python_packages": use "build.python_requirements" with a requirements.txt instead.'
        )
        yield Notice(("build", "python_packages"), text)
    if build.pre_install:
        yield Notice(("build", "pre_install"), 'deprecated field "build.pre_install": use "build.run" instead.')
    for old in _RENAMED.keys() & set(build.system_packages):
        yield Notice(("build", "system_packages"), f"{old} is installed under its newer name, {_RENAMED[old]}.")
    for name in ("fast", "cog_runtime"):
        if name in build.model_fields_set:
            yield Notice(("build", name), f"build.{name} has no effect; Cog has given it up, so remove the line.")
    if build.sdk_version is not None:
        text = "build.sdk_version has no effect: servekit stands in for Cog's SDK."
        yield Notice(("build", "sdk_version"), text)
    yield from _list_cuda_notices(build)


def _list_cuda_notices(build: CogBuild) -> Iterator[Notice]:
    for name, value in (("cuda", build.cuda), ("cudnn", build.cudnn)):
        if value is not None and not build.gpu:
            yield Notice(("build", name), f"build.{name} has no effect without `gpu: true`.")
    if build.cudnn is not None and build.cuda is None and build.gpu:
        yield Notice(("build", "cudnn"), "build.cudnn has no effect without build.cuda.")
