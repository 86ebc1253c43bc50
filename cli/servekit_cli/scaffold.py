"""Write a new project from the templates."""

from pathlib import Path

from servekit.errors import UsageError
from servekit.spec.schema import render_spec_schema
from servekit_templates import read_project

__all__ = ["SCHEMA_PATH", "write_project"]

SCHEMA_PATH = Path(".servekit") / "servekit.schema.json"
"""Where the first line of a new spec points its editor: beside the spec, so that it works offline and for
everybody who has the project."""


def write_project(directory: Path, template: str, *, overwrite: bool) -> list[Path]:
    """Write the files of a template, and the JSON Schema of the spec, into a folder.

    Returns:
        What was written.

    Raises:
        UsageError: Some of the files are there already, or the folder cannot be written to.
    """
    name = directory.resolve().name or "model"
    texts = {directory / file: text.replace("{{ name }}", name) for file, text in read_project(template).items()}
    texts[directory / SCHEMA_PATH] = render_spec_schema()
    present = [file for file in texts if file.exists() and file != directory / SCHEMA_PATH]
    if present and not overwrite:
        listed = ", ".join(str(file) for file in present)
        raise UsageError(f"{listed} would be overwritten.\nName another folder, or add --force to overwrite.")
    try:
        for file, text in texts.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be written: {error.strerror}.\nName another folder.") from error
    return list(texts)
