"""What to do about a step that failed, told from what it printed."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

__all__ = ["find_remedy"]


def find_remedy(command: str, lines: Iterable[str], error: str) -> str | None:
    """Find the likely remedy for a failed step.

    Args:
        command: The step, as the Dockerfile has it.
        lines: The end of its output.
        error: The builder's own words.

    Returns:
        What was wrong and what to do; None if nothing is known about failures of this kind.
    """
    # Programs wrap long messages at a width of their own.
    text = " ".join(" ".join([command, *lines, error]).split())
    for known in _KNOWN:
        if found := known.pattern.findall(text):
            names = dict.fromkeys("".join(groups) for groups in found)
            return known.remedy.format(", ".join(names))
    return None


@dataclass(frozen=True)
class _Known:
    """A kind of failure.

    Attributes:
        pattern: Matches its words; what the groups hold is what the failure is about.
        remedy: The sentence for it, with {} for that.
    """

    pattern: re.Pattern[str]
    remedy: str


def _known(pattern: str, remedy: str) -> _Known:
    return _Known(re.compile(pattern), remedy)


_NETWORK: Final = (
    "the engine's network; HTTP_PROXY and HTTPS_PROXY are passed on when they are set, and --network host lets the "
    "build use this machine's own network."
)

# The first that fits counts. What keeps a program from reaching its index comes before what it then says of
# packages. The words are those of real programs; tests/unit/cli/engine/failures holds what they printed.
_KNOWN: Final = (
    _known(
        r"^FROM (\S+) .*x509",
        "The engine does not trust the certificate of the registry of {}.\n"
        "Give its CA to the engine (/etc/docker/certs.d/HOST/ca.crt, or the system's store, then restart it).",
    ),
    _known(
        r"^FROM (\S+) .*(?:no such host|connection refused|i/o timeout|deadline exceeded|network is unreachable)",
        "The engine has no image {}, and the registry to get it from cannot be reached.\n"
        "Check the name (build.python_version, build.cuda or build.base_image), and the engine's network and proxy.",
    ),
    _known(
        r"^FROM (\S+) .*(?:not found|manifest unknown|does not exist|access denied|authorization failed)",
        "There is no image {}, or it may not be pulled without a login.\n"
        "Correct build.python_version, build.cuda or build.base_image, whichever names it, or run docker login.",
    ),
    _known(
        r"CERTIFICATE_VERIFY_FAILED|invalid peer certificate|certificate verify failed|unknown authority",
        "The build does not trust the certificate that it was shown; behind a company's proxy that is one of its own.\n"
        "Give it what this machine trusts: servekit build --secret id=ca,src=/etc/ssl/certs/ca-certificates.crt",
    ),
    _known(
        r"No space left on device|no space left on device",
        "The engine's disk is full. See what takes the room with docker system df; "
        "docker builder prune and docker image prune make some.",
    ),
    _known(
        r"\(401 Unauthorized\)|401 Client Error|403 Forbidden|403 Client Error",
        "The index wants a login. Put it into a netrc file, and pass that: "
        "servekit build --secret id=netrc,src=$HOME/.netrc",
    ),
    _known(
        r"Temporary failure resolving '(\S+?)'|Could not resolve '(\S+?)'",
        f"The build cannot reach {{}}. Check {_NETWORK}",
    ),
    _known(
        r"[Ff]ailure in name resolution|Name or service not known|dns error|Connection refused|Network is unreachable"
        r"|Failed to establish a new connection|Read timed out|[Oo]peration timed out",
        f"The build cannot reach the package index. Check build.index and {_NETWORK}",
    ),
    _known(
        r"E: Unable to locate package (\S+)|E: Package '(\S+)' has no installation candidate",
        "The system has no package {}. Correct build.system_packages; https://packages.debian.org knows all names.",
    ),
    _known(
        r"E: Version '\S+' for '(\S+)' was not found",
        "The system has another version of {} only. Correct build.system_packages; old versions go away there.",
    ),
    _known(
        r"Hash mismatch for `(\S+?)`|DO NOT MATCH THE HASHES.*? (\S+==\S+) from",
        "{} is not what the lock was made from. If its index may change files, write the lock anew: servekit lock",
    ),
    _known(
        r"No such file or directory: '(gcc|g\+\+|cc|c\+\+|clang|cmake|make|cargo|ninja)'"
        r"|command '(\S*?gcc|\S*?g\+\+)' failed"
        r"|(pg_config|mysql_config|pkg-config) executable not found|can't find (Rust) compiler",
        "A package has no wheel for this Python and must be compiled, which takes {}.\n"
        "Add what it needs to build.build_packages (build-essential, as a rule), or use a version that has a wheel.",
    ),
    _known(
        r"[Bb]ecause (\S+) has no (?:usable wheels|wheels with a matching)",
        "There is no wheel of {} for this Python on this platform.\n"
        "Use another version of it, or another build.python_version.",
    ),
    _known(
        r"the current Python version \((\S+)\) does not satisfy|Cannot install on Python version (\S+?);",
        "A requirement is not made for Python {}. Use another version of it, or another build.python_version.",
    ),
    _known(
        r"Because (\S+) was not found in the package registry",
        "The index has no package {}. Check how it is spelled, and whether the build can reach the index.",
    ),
    _known(
        # pip says the same of an index that wants a login and of one that it cannot reach.
        r"requirement (\S+) \(from versions: none\)",
        "The index has no package {}, or does not show it without a login.\n"
        "Check how it is spelled and whether the build can reach the index; a login goes into a netrc file: "
        "servekit build --secret id=netrc,src=$HOME/.netrc",
    ),
    _known(
        r"[Bb]ecause there is no version of (\S+)|[Bb]ecause only \S+ (?:is|are) available and you require (\S+?),"
        r"|requirement (\S+) \(from versions: \d",
        "There is no version {} for this Python. Use one that exists, or another build.python_version.",
    ),
    _known(
        r"[Bb]ecause you require (?P<name>fastapi|jsonschema-rs|msgspec|pydantic|pyyaml|structlog|uvicorn)[<>=~!]"
        r"\S+ and (?P=name)[<>=~!]\S+, we can conclude that your requirements are unsatisfiable",
        "servekit itself is installed beside the model, and needs another {} than it. Loosen the model's requirement.",
    ),
    _known(
        r"requirements are unsatisfiable|ResolutionImpossible",
        "The requirements contradict each other, as the lines above say. Loosen one of them.",
    ),
    _known(
        r"Failed to build `(\S+)`|Failed building wheel for (\S+)",
        "{} has no wheel for this Python, and could not be built from its sources.\n"
        "Use a version that has a wheel, or another build.python_version.",
    ),
    _known(
        r"(\S+): not found .*exit code: 127",
        "The image has no program {}. build.system_packages installs what it comes with.",
    ),
    _known(
        r"exit code: 137",
        "The step was killed, most likely for want of memory. Give the engine more, or let the step do less at once.",
    ),
    _known(
        r'checksum of ref \S+ "/(\S+)": not found|excluded by .dockerignore: stat (\S+):',
        "The build has no file {}. It is not in the project, or .dockerignore leaves it out.",
    ),
    _known(
        r"exec format error",
        "The image is for another processor, and this machine cannot run it. Emulation helps: "
        "docker run --privileged --rm tonistiigi/binfmt --install all",
    ),
)
