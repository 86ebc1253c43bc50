"""The page at `/docs`: self-contained, so that it works without the internet."""

import html
from functools import cache
from pathlib import Path

__all__ = ["render_docs"]


def render_docs(title: str) -> str:
    """Return the page; it reads `/openapi.json` and makes a form of the model's input."""
    return _template().replace("{{title}}", html.escape(title))


@cache
def _template() -> str:
    return Path(__file__).with_name("docs.html").read_text(encoding="utf-8")
