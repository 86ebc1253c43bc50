"""The engine: what builds and runs images. Docker, or whatever speaks its API."""

from servekit_cli.engine.build import build_image
from servekit_cli.engine.connection import Engine, connect
from servekit_cli.engine.features import Features
from servekit_cli.engine.images import ImageFacts, find_image, inspect_image, remove_image, tag_image
from servekit_cli.engine.reference import ImageName, check_tag, parse_image_name
from servekit_cli.engine.request import BuildRequest, BuildSecret
from servekit_cli.engine.transfer import pull_image, push_image
from servekit_cli.engine.views import BuildView, ProgressKind, make_view

__all__ = [
    "BuildRequest",
    "BuildSecret",
    "BuildView",
    "Engine",
    "Features",
    "ImageFacts",
    "ImageName",
    "ProgressKind",
    "build_image",
    "check_tag",
    "connect",
    "find_image",
    "inspect_image",
    "make_view",
    "parse_image_name",
    "pull_image",
    "push_image",
    "remove_image",
    "tag_image",
]
