"""What the steps that download have in common: tools, caches, certificates, credentials, the index."""

import shlex
from collections.abc import Iterable
from typing import Final, Literal

from servekit.spec import BuildSpec
from servekit_cli.image.facts import BuildFacts
from servekit_cli.image.steps import Argument, BindMount, Block, CacheMount, Copy, Mount, Run, SecretMount, Step

__all__ = [
    "INSTALL_FOLDER",
    "WELL_KNOWN_SECRETS",
    "UvRun",
    "copy_install_folder",
    "install_with_apt",
    "list_arguments",
    "list_hash_options",
    "list_secrets",
    "make_arguments_block",
    "mount_install_folder",
    "quote_word",
]

INSTALL_FOLDER: Final = "/run/servekit/install"
"""Where a step sees the files that say what to install."""

# What reads each of the secrets that servekit knows the meaning of: a path in a variable, which is no secret.
_READERS: Final = {
    "ca": ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    "netrc": ("NETRC",),
    "pip.conf": ("PIP_CONFIG_FILE",),
    "uv.toml": ("UV_CONFIG_FILE",),
}
WELL_KNOWN_SECRETS: Final = tuple(_READERS)
"""Ids of secrets that every step gets which downloads Python packages; the others are for build.run."""

_CA_FILE: Final = "/run/servekit/ca.pem"
_UV_CACHE: Final = "/var/cache/uv"
_COMPILED: Final = "/var/cache/uv-compiled"
_TOOLS: Final = BindMount("/tools", "/usr", stage="tools")


def list_arguments(build: BuildSpec, facts: BuildFacts) -> tuple[Argument, ...]:
    """List what all steps of a stage that download are told, and the container is not."""
    paths = {reader: f"/run/secrets/{secret}" for secret in facts.secrets for reader in _READERS.get(secret, ())}
    if facts.has_ca_file:
        paths.update(dict.fromkeys(_READERS["ca"], _CA_FILE))
    if build.index:
        paths.update({"UV_DEFAULT_INDEX": build.index, "PIP_INDEX_URL": build.index})
    return tuple(Argument(name, value) for name, value in paths.items())


def list_secrets(facts: BuildFacts, *, all_of_them: bool = False) -> tuple[Mount, ...]:
    """List the mounts of secrets for a step: those that servekit knows, or really all."""
    ids = facts.secrets if all_of_them else [secret for secret in facts.secrets if secret in _READERS]
    mounts: list[Mount] = [SecretMount(secret) for secret in ids]
    if facts.has_ca_file and facts.has_mounts:
        mounts.append(BindMount(_CA_FILE, ".servekit/ca.pem"))
    return tuple(mounts)


def install_with_apt(packages: Iterable[str], facts: BuildFacts) -> Run:
    """Install Debian packages and leave nothing else behind, logs with their times included."""
    install = f"apt-get install -y --no-install-recommends {' '.join(packages)}"
    leftovers = "/var/log/apt /var/log/dpkg.log /var/cache/ldconfig"
    if facts.has_mounts:
        caches = (CacheMount("/var/cache/apt", is_locked=True), CacheMount("/var/lib/apt/lists", is_locked=True))
        return Run(("apt-get update", install, f"rm -rf {leftovers}"), mounts=caches)
    return Run(("apt-get update", install, f"rm -rf {leftovers} /var/lib/apt/lists/*"))


def list_hash_options(facts: BuildFacts) -> tuple[str, ...]:
    """Have every package's hash checked where the lock has one for each; else uv checks those that there are."""
    return ("--require-hashes",) if facts.requires_hashes else ()


def make_arguments_block(build: BuildSpec, facts: BuildFacts) -> Block:
    """Say how packages are installed, once for all steps of a stage."""
    uv = UvRun(build, facts)
    steps: list[Step] = [*uv.arguments, *list_arguments(build, facts)]
    if not facts.has_mounts:
        steps += [Copy(".servekit/ca.pem", _CA_FILE)] if facts.has_ca_file else []
        steps += [copy_install_folder()] if facts.has_install_files else []
    return Block("How packages are installed: arguments of the build, which the container does not get.", tuple(steps))


def quote_word(word: str) -> str:
    """Quote a word for the shell, the way that is easiest to read."""
    is_readable_in_double_quotes = not any(character in word for character in '"$`\\')
    quoted = shlex.quote(word)
    return f'"{word}"' if quoted != word and is_readable_in_double_quotes else quoted


def copy_install_folder() -> Copy:
    """Copy what says what to install to where steps see it."""
    return Copy(".servekit/install/", f"{INSTALL_FOLDER}/")


def mount_install_folder(facts: BuildFacts, stage: str | None = None) -> BindMount:
    """Mount what says what to install, from a stage with a copy or the context; what is built in place is writable."""
    source = INSTALL_FOLDER if stage else ".servekit/install"
    return BindMount(INSTALL_FOLDER, source, stage, is_writable=facts.has_local_folders)


class UvRun:
    """Makes the steps that run `uv pip install`, for one kind of engine and of Python.

    With BuildKit, uv is there during the step only. Without it, uv is installed and removed in the same
    step, so that one and the same program resolves everywhere.

    Attributes:
        program: What to call.
        mounts: What it needs.
        arguments: How it does its work.
    """

    def __init__(self, build: BuildSpec, facts: BuildFacts) -> None:
        self._facts = facts
        # The first Python on PATH, whatever it is: of the system, of conda, or of an environment.
        self._python = ' --python "$(command -v python)"' if build.base_image else ""
        self.program = "/tools/local/bin/uv" if facts.has_mounts else "uv"
        self.mounts: tuple[Mount, ...] = ()
        self.arguments = (
            *([] if build.cuda or build.base_image else [Argument("UV_SYSTEM_PYTHON", "1")]),
            *([Argument("UV_BREAK_SYSTEM_PACKAGES", "1")] if build.base_image else []),
            Argument("UV_COMPILE_BYTECODE", "1"),
            Argument("PYC_INVALIDATION_MODE", "UNCHECKED_HASH"),
        )
        if facts.has_mounts:
            self.mounts = (_TOOLS, CacheMount(_UV_CACHE), *list_secrets(facts))
            self.arguments += (Argument("UV_CACHE_DIR", _UV_CACHE), Argument("UV_LINK_MODE", "copy"))
        else:
            self.arguments += (Argument("UV_NO_CACHE", "1"),)

    def install(
        self,
        *arguments: str,
        folder: str | None = None,
        files: BindMount | None = None,
        compiled: Literal["fill", "use"] | None = None,
    ) -> Run:
        """Install what the arguments of `uv pip install` name.

        Args:
            arguments: As a program gets them; they are quoted for the shell here.
            folder: Where relative paths go out from.
            files: The mount of the files that they name.
            compiled: `fill` puts what is downloaded and compiled into a cache of this stage, `use` installs
                from that of the stage `compile` and from nowhere else.
        """
        cache = f"UV_CACHE_DIR={_COMPILED} " if compiled else ""
        offline = " --offline" if compiled == "use" else ""
        command = f"{cache}{self.program} pip install{offline}{self._python} {' '.join(map(quote_word, arguments))}"
        commands = [command] if folder is None else [f"cd {shlex.quote(folder)}", command]
        if not self._facts.has_mounts:
            get, drop = f"pip install --no-cache-dir {quote_word(self._facts.uv)}", "pip uninstall --yes uv"
            return Run((get, *commands, drop))
        mounts = self.mounts
        if compiled == "use":
            compiled_cache = BindMount(_COMPILED, _COMPILED, "compile", is_writable=True)
            mounts = (_TOOLS, compiled_cache, *list_secrets(self._facts))
        elif compiled == "fill":
            mounts = (_TOOLS, *list_secrets(self._facts))
        return Run(tuple(commands), (files, *mounts) if files else mounts)
