"""How Sphinx builds the site: `make docs`."""

from importlib.metadata import version as installed_version

project = "servekit"
author = "The servekit authors"
copyright = "The servekit authors, Apache-2.0"  # noqa: A001 - the name that Sphinx reads
release = version = installed_version("servekit")

extensions = ["myst_parser"]
exclude_patterns = ["_build", "_ext"]
source_suffix = {".md": "markdown"}

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

html_theme = "furo"
html_title = "servekit"
html_copy_source = False
html_show_sourcelink = False
