"""The server as a program: its arguments, and its errors as exit codes."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from servekit.errors import ServekitError
from servekit.server.run import serve
from servekit.spec import (
    MODE_VARIABLE,
    SET_FLAG,
    SETTINGS_VARIABLE,
    apply_overrides,
    choose_mode,
    list_settings,
    load_spec,
)

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve a spec, and return the exit code."""
    options = vars(_make_parser().parse_args(arguments))
    try:
        spec, flag = load_spec(options.pop("spec")), options.pop("train")
        return serve(choose_mode(apply_overrides(spec, os.environ, options), os.environ, flag))
    except ServekitError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m servekit.server",
        description="Serve the predictor of a spec. Other flags stand for a field of `serve` each, and win over it.",
    )
    parser.add_argument("--spec", type=Path, default=Path(), help="The spec file, or the folder that holds it.")
    parser.add_argument(
        "--train",
        action=argparse.BooleanOptionalAction,
        help=f"Serve the project's trainings instead of its predictions; so does {MODE_VARIABLE}=true.",
    )
    parser.add_argument(
        f"--{SET_FLAG}",
        action="append",
        metavar="NAME=VALUE",
        help=f"One of the settings that the predictor declares; it wins over {SETTINGS_VARIABLE} and the spec.",
    )
    for setting in list_settings():
        text = f"{setting.description} Default: {setting.default}.".replace("%", "%%")
        if setting.is_switch:
            parser.add_argument(setting.flag, dest=setting.name, action=argparse.BooleanOptionalAction, help=text)
        else:
            parser.add_argument(
                setting.flag, dest=setting.name, choices=setting.choices or None, metavar="VALUE", help=text
            )
    return parser
