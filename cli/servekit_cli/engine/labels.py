"""Labels that are too long for an argument of a program."""

from collections.abc import Mapping
from typing import Final

__all__ = ["add_label_lines", "split_labels"]

_LONGEST_ARGUMENT: Final = 100_000  # Linux allows 131072 bytes for one; the engine's API 1 MB for all in a URL
_LONGEST_LINE: Final = 10_000  # the Dockerfile parser reads lines of up to 65535 bytes; each character may take four


def split_labels(labels: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Divide labels into those that fit into an argument and those that do not."""
    long = {name for name, text in labels.items() if len(f"{name}={text}".encode()) > _LONGEST_ARGUMENT}
    short = {name: text for name, text in labels.items() if name not in long}
    return short, {name: labels[name] for name in labels if name in long}


def add_label_lines(dockerfile: str, labels: Mapping[str, str]) -> str:
    """Add LABEL instructions at the end of a Dockerfile; they count for its last stage and make no layer."""
    lines = [f"LABEL {_quote(name)}={_quote(text)}" for name, text in labels.items()]
    return "\n".join([dockerfile.rstrip("\n"), *lines, ""])


def _quote(text: str) -> str:
    """Quote a text for a LABEL, over many lines where it is long.

    The parser joins lines that end in a backslash before it looks at quotes, so a cut can be anywhere but
    inside of an escape.
    """
    pieces = (text[at : at + _LONGEST_LINE] for at in range(0, len(text) or 1, _LONGEST_LINE))
    return '"' + "\\\n".join(piece.translate(_ESCAPES) for piece in pieces) + '"'


_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "$": "\\$"})
