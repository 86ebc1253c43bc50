"""From a spec to its Dockerfile, as data.

Steps stand in the order of change, so that what changes often rebuilds little: base, system packages,
Python packages, the project's own commands, weights, code.
"""

import math
from dataclasses import replace
from typing import Final, Literal

from servekit.errors import ImageBuildError
from servekit.spec import BuildSpec, CommandSpec, Spec
from servekit_cli.image.dependencies import EXCLUDED_NAME
from servekit_cli.image.downloads import (
    INSTALL_FOLDER,
    UvRun,
    copy_install_folder,
    install_with_apt,
    list_hash_options,
    list_secrets,
    make_arguments_block,
    mount_install_folder,
)
from servekit_cli.image.facts import BuildFacts
from servekit_cli.image.layout import LAYOUTS, PROJECT_FOLDER, Layout
from servekit_cli.image.python import (
    USER_ID,
    choose_image,
    digest_requirements,
    list_base_blocks,
    make_tools_stage,
)
from servekit_cli.image.steps import (
    Argument,
    BindMount,
    Block,
    Command,
    Copy,
    Dockerfile,
    Entrypoint,
    Environment,
    Expose,
    Healthcheck,
    Label,
    Run,
    Script,
    SecretMount,
    Stage,
    Step,
    StopSignal,
    User,
    WorkingDirectory,
)

__all__ = ["BASE_LABEL", "plan_base", "plan_dockerfile"]

BASE_LABEL: Final = "dev.servekit.base"
"""What the labels of a base image begin with."""

_DEFAULT_PORT: Final = 5000
_FOLDER: Final = "/run/servekit"


def plan_dockerfile(spec: Spec, facts: BuildFacts) -> Dockerfile:
    """Plan the Dockerfile of a spec.

    Raises:
        ImageBuildError: The spec asks for what an engine without BuildKit cannot do.
    """
    _check_engine(spec.build, facts)
    base = Stage(choose_image(spec.build, facts), _list_lower_blocks(spec.build, facts))
    project = _list_project_blocks(spec, facts)
    stages = [make_tools_stage(spec.build, facts), *_list_weights_stages(facts)]
    if spec.build.build_packages and facts.install_folder is not None:
        stages.append(Stage(base.image, base.blocks, name="runtime", comment="What the image builds on."))
        stages.append(_make_compile_stage(spec, facts))
        stages.append(Stage("runtime", (make_arguments_block(spec.build, facts), *project), comment="The image."))
    else:
        stages.append(Stage(base.image, (*base.blocks, *project), comment="The image."))
    return Dockerfile(
        f"servekit {facts.servekit_version}: generated from {spec.path.name}; "
        "`servekit build --dry-run DIR` writes it anew.",
        tuple(stages),
    )


def plan_base(facts: BuildFacts) -> Dockerfile:
    """Plan the base image, which has done the steps that are the same for many projects."""
    python = Argument("PYTHON_VERSION", facts.default_python)
    # The version is an argument of the build, which a FROM line takes in.
    facts = replace(facts, base_image=None, has_lock=False, install_folder=None, default_python=f"${{{python.name}}}")
    labels: tuple[Step, ...] = (
        Argument(python.name),
        Label(f"{BASE_LABEL}.version", facts.servekit_version),
        Label(f"{BASE_LABEL}.python", argument=python.name),
        Label(f"{BASE_LABEL}.requirements", digest_requirements(facts.runtime_requirements)),
    )
    comment = "What `servekit build` compares when it looks for a base image that fits."
    blocks = (*list_base_blocks(BuildSpec(), facts), Block(comment, labels))
    image = choose_image(BuildSpec(), facts)
    return Dockerfile(
        f"servekit {facts.servekit_version}: the base image, with everything that does not depend on a project.\n"
        f"`servekit base build` builds it, as does: docker build --build-arg {python.name}=3.13 - < Dockerfile.base",
        (make_tools_stage(BuildSpec(), facts), Stage(image, blocks, comment="The image.")),
        arguments=(python,),
    )


def _check_engine(build: BuildSpec, facts: BuildFacts) -> None:
    for field in ("build_packages", "cuda"):
        if getattr(build, field) and not facts.has_mounts:
            raise ImageBuildError(
                f"build.{field} needs an engine with BuildKit, and this one builds without it.\n"
                "Install Docker's buildx plugin, or take an engine of version 18.09 or newer."
            )
    if any(command.secrets for command in build.run) and not facts.has_mounts:
        raise ImageBuildError(
            "Secrets in build.run need an engine with BuildKit, and this one builds without it.\n"
            "Install Docker's buildx plugin, or take an engine of version 18.09 or newer."
        )


def _list_lower_blocks(build: BuildSpec, facts: BuildFacts) -> tuple[Block, ...]:
    """List what stays the same when the project's Python dependencies change."""
    lower = (make_arguments_block(build, facts),) if facts.base_image else list_base_blocks(build, facts)
    if not build.system_packages:
        return lower
    run = install_with_apt(build.system_packages, facts)
    return (*lower, Block("System packages, from build.system_packages.", (run,)))


def _list_weights_stages(facts: BuildFacts) -> tuple[Stage, ...]:
    if facts.weights_image:
        comment = "The weights, in an image of their own: editing code never sends or pushes them again."
        return (Stage(facts.weights_image, (), name="weights", comment=comment),)
    if facts.has_weights_folder:
        blocks = (Block("", (Copy("weights/", "/"),)),)
        return (Stage("scratch", blocks, name="weights", comment="The weights."),)
    return ()


def _make_compile_stage(spec: Spec, facts: BuildFacts) -> Stage:
    """Make the stage that compiles: it fills a cache, from which the image then installs."""
    build = spec.build
    # uv knows a folder that it has compiled by the times of its files, so the image has to install from this copy.
    steps = (copy_install_folder(), _install(spec, facts, compiled="fill"))
    blocks = (
        Block("Compilers and the like, from build.build_packages.", (install_with_apt(build.build_packages, facts),)),
        make_arguments_block(build, facts),
        Block("Installed here for what it leaves in uv's cache, which the image takes from this stage.", steps),
    )
    return Stage("runtime", blocks, name="compile", comment="Where packages without a wheel are compiled.")


def _list_project_blocks(spec: Spec, facts: BuildFacts) -> tuple[Block, ...]:
    """List what is a project's own."""
    build = spec.build
    layout = LAYOUTS[spec.dialect]
    blocks: list[Block] = [_make_servekit_block(build, facts)]
    if layout.commands:
        blocks.append(Block("What every program of the image can import.", (Run(layout.commands),)))
    if facts.install_folder is not None:
        compiled: Literal["use"] | None = "use" if build.build_packages else None
        comment = "The project's Python packages. The code is not needed for that, and changes more often."
        blocks.append(Block(comment, (_install(spec, facts, compiled=compiled),)))
    if variables := {**dict(layout.environment), **build.environment}:
        blocks.append(Block("Variables that the project runs with.", (Environment(tuple(variables.items())),)))
    if build.run:
        blocks.append(Block("From build.run.", tuple(_run(command, facts) for command in build.run)))
    blocks.append(_make_files_block(facts, layout))
    blocks.append(_make_start_block(spec))
    return tuple(blocks)


def _install(spec: Spec, facts: BuildFacts, *, compiled: Literal["fill", "use"] | None) -> Run:
    if facts.has_lock:
        arguments = (*list_hash_options(facts), "-r", f"{INSTALL_FOLDER}/servekit.lock")
    else:
        arguments = ("-r", f"{INSTALL_FOLDER}/requirements.txt", *facts.installs)
    if spec.provided_packages:
        arguments = (*arguments, "--excludes", f"{INSTALL_FOLDER}/{EXCLUDED_NAME}")
    folder = f"{INSTALL_FOLDER}/{facts.install_folder}"
    files = None if compiled == "fill" else mount_install_folder(facts, "compile" if compiled else None)
    return UvRun(spec.build, facts).install(*arguments, folder=folder, files=files, compiled=compiled)


def _make_servekit_block(build: BuildSpec, facts: BuildFacts) -> Block:
    uv = UvRun(build, facts)
    comment = "servekit itself, at the version that builds. It changes less often than what a project needs."
    if facts.servekit_wheel is None:
        return Block(comment, (uv.install("--no-deps", f"servekit=={facts.servekit_version}"),))
    source, target = f".servekit/{facts.servekit_wheel}", f"{_FOLDER}/{facts.servekit_wheel}"
    install = uv.install("--no-deps", target)
    if facts.has_mounts:
        return Block(comment, (Run(install.commands, (BindMount(target, source), *install.mounts)),))
    return Block(comment, (Copy(source, target), install))


def _run(entry: CommandSpec, facts: BuildFacts) -> Run | Script:
    command = entry.command
    own = tuple(SecretMount(secret, target) for secret, target in entry.secrets.items())
    mounts = (*list_secrets(facts, all_of_them=True), *own)
    # What the shell form of RUN would take for something else than a command, or cannot hold.
    is_special = "\n" in command.strip() or "<<" in command or command.rstrip().endswith("\\")
    if is_special or command.lstrip().startswith(("--", "[", "#")):
        return Script(command, mounts)
    return Run((command.strip(),), mounts)


def _make_files_block(facts: BuildFacts, layout: Layout) -> Block:
    has_weights = facts.weights_image or facts.has_weights_folder
    owner = f"{USER_ID}:{USER_ID}" if layout.is_writable else None
    target = f"{PROJECT_FOLDER}/"
    weights = (Copy("/", target, stage="weights", is_linked=facts.has_links, owner=owner),) if has_weights else ()
    # Hashes are checked, since whoever builds on this image may put other code here; times would make
    # the layer another one each time.
    compile_code = f"python -m compileall -q --invalidation-mode checked-hash {PROJECT_FOLDER} || true"
    prepare = [
        *([f"chown {owner} {PROJECT_FOLDER}"] if owner else []),
        *([f"ln -s {PROJECT_FOLDER} {layout.alias}"] if layout.alias else []),
    ]
    return Block(
        "The project: what changes most comes last. Code that does not compile is told when it is imported.",
        (
            WorkingDirectory(PROJECT_FOLDER),
            *([Run(tuple(prepare))] if prepare else []),
            *weights,
            Copy("app/", target, is_linked=facts.has_links, owner=owner),
            Run((compile_code,)),
        ),
    )


def _make_start_block(spec: Spec) -> Block:
    port = spec.serve.port or _DEFAULT_PORT
    healthcheck = Healthcheck(
        ("python", "-P", "-m", "servekit.server.healthcheck", *([] if port == _DEFAULT_PORT else [str(port)])),
        interval_seconds=10,
        timeout_seconds=10,
        start_period_seconds=math.ceil(spec.serve.setup_timeout),
    )
    return Block(
        "How it runs. PORT or SERVEKIT_PORT chooses another port; SIGTERM finishes what runs, then ends it.",
        (
            User(f"{USER_ID}:{USER_ID}"),
            # Any free port is none that could be published.
            *([] if spec.serve.port else [Environment((("PORT", str(port)),))]),
            Expose(port),
            healthcheck,
            StopSignal("SIGTERM"),
            Entrypoint(("/usr/bin/tini", "--")),
            # Without -P a queue.py of the project would be taken for the standard library's.
            Command(("python", "-P", "-m", "servekit.server")),
        ),
    )
