"""`servekit build --dry-run DIR`: the build context in a folder, to be looked at and built by hand."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from servekit.errors import UsageError
from servekit.spec import Spec
from servekit_cli.engine.request import BuildSecret
from servekit_cli.image.context import sync_context
from servekit_cli.image.files import CONTEXT_MARKER
from servekit_cli.image.preparation import EngineFacts, Preparation, prepare_build
from servekit_cli.weights import resolve_weights

__all__ = ["describe_build_command", "write_dry_run"]


def write_dry_run(spec: Spec, folder: Path, secrets: Sequence[BuildSecret]) -> Preparation:
    """Write the whole build context of a spec, its weights included.

    Nothing in it is linked to the project, so that it may be edited.

    Raises:
        UsageError: The folder holds something else.
        ServekitError: As `prepare_build` and `resolve_weights` say.
    """
    if folder.exists() and not (folder / CONTEXT_MARKER).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already and was not written by servekit.\nName an empty or a new folder.")
    engine = EngineFacts(secrets=tuple(secret.id for secret in secrets))
    preparation = prepare_build(spec, engine, resolve_weights(spec))
    sync_context(folder, preparation.entries, may_link=False)
    return preparation


def describe_build_command(folder: Path, secrets: Sequence[BuildSecret]) -> str:
    """Write the command that builds a context by hand; VARIABLE stands for the one that holds a secret."""
    words = ["docker", "build"]
    for secret in secrets:
        words += ["--secret", f"id={secret.id},{f'src={secret.file}' if secret.file else 'env=VARIABLE'}"]
    return shlex.join([*words, str(folder)])
