"""Let autodoc read docstrings that mark code as Markdown does: `name`, and fences of three backticks."""

import re

from sphinx.application import Sphinx

_CODE = re.compile(r"(?<![`:])`([^`\n]+)`(?!`)")
_FENCE = re.compile(r"^(\s*)```(\w*)$")


def convert_docstring(
    app: Sphinx,  # noqa: ARG001 - what autodoc passes
    what: str,  # noqa: ARG001
    name: str,  # noqa: ARG001
    obj: object,  # noqa: ARG001
    options: object,  # noqa: ARG001
    lines: list[str],
) -> None:
    """Rewrite a docstring as reStructuredText, in place."""
    converted: list[str] = []
    is_code = False
    for line in lines:
        if fence := _FENCE.match(line):
            is_code = not is_code
            converted += [f"{fence[1]}.. code-block:: {fence[2]}", ""] if is_code else [""]
        elif is_code:
            converted.append(f"    {line}" if line else "")
        else:
            converted.append(_CODE.sub(r"``\1``", line))
    lines[:] = converted


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the hook, for Sphinx; it comes before napoleon, which reads the sections."""
    app.connect("autodoc-process-docstring", convert_docstring, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
