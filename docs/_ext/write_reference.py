"""Write the parts of the reference that are read from the code into its pages.

    python docs/_ext/write_reference.py            write them
    python docs/_ext/write_reference.py --check    say which pages are behind the code; exit code 1 if any is

They stand in the committed pages, so that these can be read wherever Markdown is shown, between
`<!-- begin WHAT ... -->` and `<!-- end -->`. What stands between is overwritten.
"""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from cog_reference import describe_agreements, describe_differences
from python_reference import describe_python
from servekit_reference import (
    describe_cog,
    describe_cog_variables,
    describe_commands,
    describe_errors,
    describe_exit_codes,
    describe_metrics,
    describe_settings,
    describe_spec,
)

_DOCS: Final = Path(__file__).parents[1]
_PART: Final = re.compile(
    r"^(<!-- begin ([\w-]+)((?: [\w.]+)*) -->\n)(?:.*?)^(<!-- end -->\n)", re.MULTILINE | re.DOTALL
)
_WRITERS: Final[dict[str, Callable[..., Iterator[str]]]] = {
    "cog": describe_cog,
    "cog-agreements": describe_agreements,
    "cog-differences": describe_differences,
    "cog-variables": describe_cog_variables,
    "commands": describe_commands,
    "errors": describe_errors,
    "exit-codes": describe_exit_codes,
    "metrics": describe_metrics,
    "python": describe_python,
    "settings": describe_settings,
    "spec": describe_spec,
}


def main(arguments: list[str]) -> int:
    """Write or check the pages; return the exit code."""
    is_check = arguments == ["--check"]
    code = 0
    for page in sorted((_DOCS / "reference").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        fresh = _PART.sub(_fill, text)
        if fresh == text:
            continue
        if is_check:
            sys.stderr.write(
                f"docs/reference/{page.name} is behind the code; run: python docs/_ext/write_reference.py\n"
            )
            code = 1
        else:
            page.write_text(fresh, encoding="utf-8")
    return code


def _fill(part: re.Match[str]) -> str:
    lines = "\n".join(line.rstrip() for line in _WRITERS[part[2]](*part[3].split()))
    written = re.sub(r"\n{3,}", "\n\n", lines).strip()
    return f"{part[1]}\n{written}\n\n{part[4]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
