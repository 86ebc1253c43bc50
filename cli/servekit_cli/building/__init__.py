"""From a project to an image on the engine."""

from servekit_cli.building.base import BaseImage, build_base, find_base, list_bases
from servekit_cli.building.build import BuildOptions, BuiltImage, build_project, name_image

__all__ = [
    "BaseImage",
    "BuildOptions",
    "BuiltImage",
    "build_base",
    "build_project",
    "find_base",
    "list_bases",
    "name_image",
]
