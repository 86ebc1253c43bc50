"""The part of an image below a project's own: its Python, the user, the init process, the runtime's packages."""

import hashlib
from collections.abc import Iterable
from typing import Final

from servekit.spec import BuildSpec
from servekit_cli.image.downloads import (
    INSTALL_FOLDER,
    UvRun,
    install_with_apt,
    list_arguments,
    list_hash_options,
    list_secrets,
    make_arguments_block,
    quote_word,
)
from servekit_cli.image.facts import BuildFacts
from servekit_cli.image.steps import (
    Argument,
    BindMount,
    Block,
    Copy,
    Environment,
    Run,
    SearchPath,
    Stage,
    Step,
    User,
)

__all__ = ["USER_ID", "choose_image", "digest_requirements", "list_base_blocks", "make_tools_stage"]

USER_ID: Final = 10001
"""Above what systems give out themselves, so that it is nobody's on a host."""

_OLDEST: Final = (3, 11)
# The modules of the runtime's packages: importing them writes the bytecode of what they need of the standard library.
_RUNTIME_MODULES: Final = (
    "argparse, ctypes, difflib, fastapi, jsonschema_rs, msgspec, prometheus_client, psutil, python_multipart, "
    "structlog, urllib3, uvicorn.main, uvloop, yaml"
)
# Their wheels hold debug symbols: 16 MB of 20.
_UNSTRIPPED: Final = ("httptools", "msgspec", "psutil", "uvloop", "yaml")


def choose_image(build: BuildSpec, facts: BuildFacts) -> str:
    """Name the image to build on."""
    if facts.base_image:
        return facts.base_image
    if build.base_image:
        return build.base_image
    return _name_cuda_image(build.cuda) if build.cuda else _name_python_image(build, facts)


def digest_requirements(requirements: Iterable[str]) -> str:
    """Give a short digest of requirements, in whatever order: two bases with the same one hold the same packages."""
    return hashlib.sha256("\n".join(sorted(requirements)).encode()).hexdigest()[:12]


def make_tools_stage(build: BuildSpec, facts: BuildFacts) -> Stage:
    """Make the stage that has what builds the image and does not stay in it, and the init process."""
    needs_strip = facts.has_mounts and _is_plain_python(build, facts)
    packages = [*([] if facts.base_image else ["tini"]), *(["binutils"] if needs_strip else [])]
    steps: list[Step] = []
    if facts.has_mounts:
        steps += list_arguments(build, facts)
        install = f"pip install --no-cache-dir --no-input --root-user-action=ignore {quote_word(facts.uv)}"
        steps.append(Run((install,), mounts=list_secrets(facts)))
    if packages:
        steps.append(install_with_apt(packages, facts))
    image = facts.base_image or _name_python_image(build, facts)
    return Stage(
        image, (Block("", tuple(steps)),), name="tools", comment="What builds the image and is not left in it."
    )


def list_base_blocks(build: BuildSpec, facts: BuildFacts) -> tuple[Block, ...]:
    """List the steps that a base image has done already, and that are the same for many projects."""
    uv = UvRun(build, facts)
    return (
        *([_make_check_block(build)] if build.base_image else []),
        make_arguments_block(build, facts),
        *([_make_cuda_python_block(build, facts, uv)] if build.cuda else []),
        _make_environment_block(build),
        _make_user_block(build, facts),
        _make_runtime_block(build, facts, uv),
    )


def _is_plain_python(build: BuildSpec, facts: BuildFacts) -> bool:
    """Whether the image is built on the plain Python image."""
    return not (facts.base_image or build.base_image or build.cuda)


def _name_python_image(build: BuildSpec, facts: BuildFacts) -> str:
    return f"python:{build.python_version or facts.default_python}-slim"


def _name_cuda_image(version: str) -> str:
    number, _, variant = version.partition("-")
    full = number if number.count(".") == 2 else f"{number}.0"  # noqa: PLR2004 - images have all three numbers
    system = "" if "ubuntu" in variant else "-ubuntu22.04"
    return f"nvidia/cuda:{full}-{variant or 'runtime'}{system}"


def _make_cuda_python_block(build: BuildSpec, facts: BuildFacts, uv: UvRun) -> Block:
    version = build.python_version or facts.default_python
    seed = " --seed" if build.run else ""  # commands may well call pip, which else is not there
    return Block(
        "This Ubuntu has no Python newer than 3.10. This is a build of Python that runs anywhere, in an environment\n"
        "of its own because it does not let itself be installed into.",
        (
            Argument("UV_PYTHON_INSTALL_DIR", "/opt/python"),
            Argument("VIRTUAL_ENV", "/opt/venv"),
            SearchPath("/opt/venv/bin"),
            Run((f"{uv.program} venv --managed-python{seed} --python {version} /opt/venv",), mounts=uv.mounts),
        ),
    )


def _make_check_block(build: BuildSpec) -> Block:
    wanted = tuple(map(int, build.python_version.split("."))) if build.python_version else None
    test = f"sys.version_info[:2] == {wanted}" if wanted else f"sys.version_info >= {_OLDEST}"
    message = f"build.base_image has to bring Python {build.python_version or '3.11 or newer'} as `python`, and has "
    return Block(
        "A base image may run as another user, and with another Python.",
        (User("root"), Run((_python(f"import sys; {test} or sys.exit({message!r} + sys.version)"),))),
    )


def _make_environment_block(build: BuildSpec) -> Block:
    variables = [
        ("PYTHONUNBUFFERED", "1"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("SERVEKIT_HOST", "0.0.0.0"),  # noqa: S104 - a container serves others
        ("SERVEKIT_LOG_FORMAT", "json"),
    ]
    comment = "Bytecode is compiled below, and never while the container runs."
    if build.gpu:
        variables += [("NVIDIA_VISIBLE_DEVICES", "all"), ("NVIDIA_DRIVER_CAPABILITIES", "compute,utility")]
        comment += "\nThe GPU's driver comes from the host; these variables ask its container toolkit for it."
    return Block(comment, (Environment(tuple(variables)),))


def _make_user_block(build: BuildSpec, facts: BuildFacts) -> Block:
    # On another system than the tools' the one that needs no libraries, which is larger.
    tini = "tini" if _is_plain_python(build, facts) else "tini-static"
    home = "/home/servekit"
    commands = (
        f"echo servekit:x:{USER_ID}: >> /etc/group",
        f"echo servekit:x:{USER_ID}:{USER_ID}::{home}:/usr/sbin/nologin >> /etc/passwd",
        f"mkdir -p {home}",
        f"chown {USER_ID}:{USER_ID} {home}",
    )
    return Block(
        "The server runs as this user, below an init process that ends what a model leaves running. (useradd is not\n"
        "on every base, and notes the date, so that no two images would be the same.)",
        (Run(commands), Copy(f"/usr/bin/{tini}", "/usr/bin/tini", stage="tools", is_linked=facts.has_links)),
    )


def _make_runtime_block(build: BuildSpec, facts: BuildFacts, uv: UvRun) -> Block:
    if facts.has_lock:
        # This file alone, so that what the project adds to the lock does not make the step run again.
        lock = BindMount(f"{INSTALL_FOLDER}/runtime.lock", ".servekit/install/runtime.lock")
        install = uv.install(*list_hash_options(facts), "-r", lock.target, files=lock)
    else:
        install = uv.install(*facts.runtime_requirements)
    more = [f"PYTHONDONTWRITEBYTECODE= {_python(f'import {_RUNTIME_MODULES}')}"]
    comment = "What servekit needs to serve: the same for all projects, so it comes before what is a project's own.\n"
    if facts.has_mounts and _is_plain_python(build, facts):
        more += [_strip(), _drop_sources()]
        comment += "Some of it comes with 17 MB of debug symbols and sources for compilers, which go.\n"
    return Block(
        f"{comment}Importing it compiles what it uses of the standard library.",
        (Run((*install.commands, *more), mounts=install.mounts),),
    )


def _python(code: str) -> str:
    return f"python -c {quote_word(code)}"


def _drop_sources() -> str:
    """Remove what only Cython and type checkers read, of these packages alone: a project's own come later."""
    return r"find /usr/local/lib -regex '.*-packages/.*\.\(pyx\|pxd\|pyi\)' -delete"


def _strip() -> str:
    names = r"\|".join(_UNSTRIPPED)
    # binutils of the same Debian, with its own libraries.
    strip = "env LD_LIBRARY_PATH=/tools/lib/$(uname -m)-linux-gnu /tools/bin/strip --strip-unneeded"
    return rf"find /usr/local/lib -regex '.*-packages/\({names}\)/.*\.so' -exec {strip} {{}} +"
