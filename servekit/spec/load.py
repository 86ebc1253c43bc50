"""From a file on disk to a checked `Spec`."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from servekit.errors import SpecError
from servekit.spec.dialects import SPEC_NAMES, choose_rules, find_spec_file
from servekit.spec.faults import Fault, describe_error
from servekit.spec.model import Spec
from servekit.spec.translation import Translation

__all__ = ["load_spec"]


def load_spec(path: Path) -> Spec:
    """Read and check a spec.

    Args:
        path: The spec file, or the folder that holds `servekit.yaml` or else `cog.yaml`.

    Raises:
        SpecError: There is no such file, or it has faults; the message lists all of them with their lines.
    """
    file = _find_file(path)
    # Not at the top: a worker knows the classes of the spec but has no YAML reader.
    from servekit.spec.document import read_document  # noqa: PLC0415

    rules = choose_rules(file)
    document = read_document(_read_text(file), rules.text_fields)
    faults = list(document.faults)
    translation = Translation({})
    if document.is_readable:
        try:
            translation = rules.translate(rules.model.model_validate(document.value, strict=True), file.parent)
        except ValidationError as error:
            found = [describe_error(detail, document.line_of(detail["loc"]), rules.model) for detail in error.errors()]
            # What could not be read has no value, which is no second fault of the same line.
            faults += [fault for fault in found if fault.line not in document.faulty_lines]
    if faults:
        raise SpecError(_render(file.name, faults))
    noticed = sorted((document.line_of(notice.location), notice.text) for notice in translation.notices)
    warnings = tuple(f"{file.name}:{line}: {text}" for line, text in noticed)
    return Spec.model_validate({**translation.values, "path": file, "dialect": rules.dialect, "warnings": warnings})


def _find_file(path: Path) -> Path:
    file = find_spec_file(path)
    if not file.is_file():
        missing = " and no ".join(SPEC_NAMES.values()) if path.is_dir() else file.name
        raise SpecError(
            f"There is no {missing} in {file.absolute().parent}.\n"
            "Go to the folder that holds it, name it with --file, or make a new project with `servekit init`."
        )
    return file.absolute()


def _read_text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError(
            f"{file.name} is not UTF-8 text: byte {error.start} cannot be read.\nSave it as UTF-8 in your editor."
        ) from error
    except OSError as error:
        raise SpecError(f"{file} cannot be read: {error.strerror}.\nCheck its permissions.") from error


def _render(name: str, faults: Iterable[Fault]) -> str:
    return "\n".join(f"{name}:{fault.line}: {fault.sentence}\n  {fault.remedy}" for fault in sorted(faults))
