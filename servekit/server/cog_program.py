"""`python -m cog.server.http`: the server as a program, with the arguments that Cog's has.

It serves the project of the current folder. PORT names the port, and SERVEKIT_* variables set the rest.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from servekit.compat.version import COG_VERSION
from servekit.errors import ServekitError
from servekit.server.run import serve
from servekit.spec import apply_overrides, choose_mode, load_spec

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the project of the current folder, and return the exit code."""
    options = _make_parser().parse_args(arguments)
    try:
        # A server that does not mind SIGTERM can be ended by nothing else.
        flags = {"host": options.host, "upload_url": options.upload_url or None, "allow_shutdown": True}
        overridden = apply_overrides(load_spec(Path()), os.environ, flags)
        spec = choose_mode(overridden, os.environ, None if options.x_mode is None else options.x_mode == "train")
        return serve(spec, minds_sigterm=not options.await_explicit_shutdown)
    except ServekitError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cog.server.http", description=main.__doc__)
    parser.add_argument("-v", "--version", action="version", version=f"cog {COG_VERSION}")
    parser.add_argument("--host", help="The address to listen on.")
    parser.add_argument(
        "--await-explicit-shutdown",
        type=_parse_bool,
        default=False,
        metavar="BOOL",
        help="Ignore SIGTERM: only POST /shutdown and SIGINT end it.",
    )
    parser.add_argument(
        "--x-mode", choices=("predict", "train"), help="What is served; predict, if not said otherwise."
    )
    parser.add_argument("--upload-url", metavar="URL", help="Where the files of outputs are put, each under its name.")
    parser.add_argument("--threads", type=int, help="Has no effect.")
    return parser


def _parse_bool(text: str) -> bool:
    if text.lower() in ("true", "1", "yes"):
        return True
    if text.lower() in ("false", "0", "no", ""):
        return False
    message = f"{text!r} is neither true nor false"
    raise argparse.ArgumentTypeError(message)
