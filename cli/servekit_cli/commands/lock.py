"""`servekit lock`."""

from pathlib import Path
from typing import Annotated

import typer

from servekit.errors import UsageError
from servekit_cli.options import SpecOption, say_warnings

__all__ = ["run"]


def run(
    file: SpecOption = Path(),
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Only tell whether servekit.lock is current; for CI. Changes nothing.")
    ] = False,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Take the newest versions, and not those of the lock that is there.")
    ] = False,
) -> None:
    """Pin every Python package of the image, with hashes, in servekit.lock.

    The project's dependencies and those of servekit itself are resolved together, for all platforms.
    `servekit build` then installs exactly these.
    """
    if check and upgrade:
        raise UsageError("--check changes nothing, and --upgrade does.\nGive one of them.")
    from servekit.spec import load_spec  # noqa: PLC0415 - `servekit lock --help` answers at once
    from servekit_cli.environment.requirements import describe_provided  # noqa: PLC0415
    from servekit_cli.image.lock import check_lock, make_lock, read_lock  # noqa: PLC0415
    from servekit_cli.image.lockfile import describe_changes  # noqa: PLC0415
    from servekit_cli.terminal import say, show_progress  # noqa: PLC0415

    spec = load_spec(file)
    say_warnings(spec)
    if provided := describe_provided(spec):
        say(f"Note: {provided}")
    if check:
        check_lock(spec)
        say("The lock is current.")
        return
    old = read_lock(spec)
    with show_progress("Resolving the dependencies", done="Resolved the dependencies"):
        lock = make_lock(spec, upgrade=upgrade)
    if old is not None:
        for change in describe_changes(old.pins, lock.pins):
            say(f"  {change}")
    say(f"{lock.path} pins {len(lock.pins)} packages.")
