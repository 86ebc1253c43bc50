"""Containers of images: one prediction in one, or a server for as long as the command runs."""

from servekit_cli.container.options import RunOptions
from servekit_cli.container.predict import predict_image
from servekit_cli.container.serve import serve_image

__all__ = ["RunOptions", "predict_image", "serve_image"]
