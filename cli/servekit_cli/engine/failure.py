"""From a failed build to a message that helps."""

import re
from typing import Final

from servekit_cli.engine.remedies import find_remedy
from servekit_cli.engine.steps import Step

__all__ = ["describe_failure", "is_engine_loss"]

_SHOWN_LINES: Final = 20

_LOSS: Final = re.compile(
    r"Cannot connect to the Docker daemon|error reading from server|code = Unavailable"
    r"|use of closed network connection|failed to receive status",
    re.IGNORECASE,
)


def is_engine_loss(message: str) -> bool:
    """Whether a client's last words say that the engine went away."""
    return bool(_LOSS.search(message.rpartition("ERROR:")[2]))


def describe_failure(step: Step | None, message: str) -> str:
    """Say which step failed and how, with the end of its output and the likely remedy.

    Args:
        step: The step that failed; None if the build never came to one.
        message: The builder's own last words.
    """
    if step is None:
        reason = _last_words(message)
        return _join(f"The image could not be built: {reason}", find_remedy("", (), reason))
    error = step.done.error if step.done else message
    head = f"The image could not be built. This step failed{_exit_code(error)}:\n\n    {step.command}"
    if shown := _end_of(step):
        head += "\n\nThe end of what it printed:\n\n" + "\n".join(f"    {line}".rstrip() for line in shown)
    if not _exit_code(error):
        head += f"\n\n{error}"
    return _join(head, find_remedy(step.command, step.lines, error))


def _end_of(step: Step) -> list[str]:
    lines = list(step.lines)
    while lines and not lines[-1].strip():
        lines.pop()
    return lines[-_SHOWN_LINES:]


def _join(head: str, remedy: str | None) -> str:
    return f"{head}\n\n{remedy}" if remedy else head


def _exit_code(error: str) -> str:
    found = re.search(r"(?:exit code|non-zero code|exit status):? (\d+)", error)
    return f" (exit code {found[1]})" if found else ""


def _last_words(message: str) -> str:
    """What comes after the excerpt of the Dockerfile, which the client puts first."""
    return message.rpartition("ERROR:")[2].strip() or message
