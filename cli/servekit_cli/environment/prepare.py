"""From a spec to the interpreter that runs its predictor."""

import hashlib
import json
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import servekit
from servekit.errors import EnvironmentBuildError
from servekit.spec import Spec
from servekit_cli.ending import terminable
from servekit_cli.environment.cache import cache_directory, keep
from servekit_cli.environment.interpreter import find_interpreter, running_version
from servekit_cli.environment.pruning import mark_used, prune
from servekit_cli.environment.requirements import Dependencies, read_dependencies, read_worker_requirements
from servekit_cli.environment.uv import UvError, exclude, run_uv
from servekit_cli.terminal import show_progress

__all__ = ["needs_environment", "prepare_environment"]


def needs_environment(spec: Spec) -> bool:
    """Whether a spec runs in an environment of its own, and not in the current interpreter."""
    return spec.build.names_dependencies or spec.build.python_version not in (None, running_version())


def prepare_environment(spec: Spec) -> Path:
    """Have the environment of a spec ready.

    Takes milliseconds when it is there already. Waits while another process makes the same one; an
    interrupt leaves nothing half made behind. Making one removes those that were not used for long.

    Returns:
        The Python executable to run the predictor with.

    Raises:
        EnvironmentBuildError: It could not be made; the message holds what uv said.
    """
    if not needs_environment(spec):
        return Path(sys.executable)
    plan = _make_plan(spec)
    folder = cache_directory() / "environments" / plan.key
    mark_used(folder)

    def make(target: Path) -> None:
        doing = "Making the environment of the predictor (kept for the next time)"
        done = "Made the environment of the predictor"
        with terminable(), show_progress(doing, done=done):
            _make_environment(target, spec, plan)
            prune(folder.parent)

    keep(folder, make, is_complete=lambda path: _python_of(path).exists())
    return _python_of(folder)


@dataclass(frozen=True)
class _Plan:
    root: Path
    interpreter: Path
    dependencies: Dependencies
    worker_requirements: tuple[str, ...]
    excluded: tuple[str, ...]

    @property
    def key(self) -> str:
        """A name that changes with whatever decides what the environment holds."""
        decisive = {
            "interpreter": str(self.interpreter),
            "platform": [platform.system(), platform.machine(), platform.libc_ver()[0], platform.python_version()],
            "dependencies": self.dependencies.contents,
            "place": str(self.root) if self.dependencies.depend_on_place else None,
            "worker": self.worker_requirements,
            "excluded": self.excluded,
            "servekit": str(_own_package()),
        }
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:32]


def _make_plan(spec: Spec) -> _Plan:
    return _Plan(
        root=spec.root,
        interpreter=find_interpreter(spec.build.python_version),
        dependencies=read_dependencies(spec),
        worker_requirements=(*read_worker_requirements(), *spec.expected_packages),
        excluded=spec.provided_packages,
    )


def _make_environment(target: Path, spec: Spec, plan: _Plan) -> None:
    try:
        # Relocatable, because the folder is renamed when it is complete.
        run_uv("venv", "--quiet", "--relocatable", "--no-project", "--python", plan.interpreter, target)
        run_uv("pip", "install", "--python", _python_of(target), *_what_to_install(target, plan), cwd=spec.root)
    except UvError as error:
        raise EnvironmentBuildError(
            f"The environment that {spec.path} asks for could not be made. uv said:\n\n{error.output}\n\n"
            "Correct the dependencies under build, or the network or index that they come from."
        ) from None
    _add_servekit(target)


def _what_to_install(target: Path, plan: _Plan) -> list[str]:
    """List the arguments of one single `uv pip install`, so that clashes with the worker's own needs are seen."""
    listed = target / "servekit-requirements.txt"
    listed.write_text("\n".join((*plan.worker_requirements, *plan.dependencies.packages)) + "\n", encoding="utf-8")
    files = [listed, *plan.dependencies.files]
    if plan.dependencies.locked_project is not None:
        exported = target / "locked-requirements.txt"
        options = ("--quiet", "--frozen", "--no-dev", "--no-emit-project")
        run_uv("export", *options, "--project", plan.dependencies.locked_project, "--output-file", exported)
        files.append(exported)
    arguments = [argument for file in files for argument in ("--requirement", str(file))]
    return [*arguments, *exclude(plan.excluded, target / "excluded-packages.txt")]


def _add_servekit(target: Path) -> None:
    """Put the running servekit into the environment, so that both ends speak the same protocol."""
    packages = next(target.glob("lib/python*/site-packages"))
    source, link = _own_package(), packages / "servekit"
    if link.exists():  # the model's dependencies name servekit: the running one counts all the same
        shutil.rmtree(link)
    try:
        link.symlink_to(source, target_is_directory=True)
    except OSError:  # a file system without links
        shutil.copytree(source, link, ignore=shutil.ignore_patterns("__pycache__"))


def _own_package() -> Path:
    return Path(os.path.realpath(servekit.__file__)).parent


def _python_of(environment: Path) -> Path:
    return environment / "bin" / "python"
