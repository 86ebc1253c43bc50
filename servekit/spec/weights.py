"""The `weights` section: large files that get into an image in layers of their own."""

import re
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from servekit.spec.section import Section
from servekit.spec.values import InsidePath, check_no_password, unfit

__all__ = ["WEIGHT_SCHEMES", "WeightsEntry", "WeightsSpec", "check_targets"]

WEIGHT_SCHEMES: Final = ("https", "http", "hf", "s3")
"""Where weights are fetched from, beside the project itself."""

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def _check_source(source: str) -> str:
    if not source.strip():
        raise unfit("it may not be empty", "Name a file or folder, or a URL.")
    if (match := _SCHEME.match(source)) is None:
        return source
    if match[1] not in WEIGHT_SCHEMES:
        raise unfit(
            f"weights come from a path or from {', '.join(f'{scheme}://' for scheme in WEIGHT_SCHEMES)}",
            "Name one of these, or fetch the file yourself and name its path.",
        )
    if match[1] == "hf" and len(urlsplit(source).path.strip("/").split("/")) < 2:  # noqa: PLR2004 - repo and file
        raise unfit(
            "a file on the Hugging Face hub is hf://owner/repo/file, with @revision behind it if need be",
            "Name the file in the repository as well.",
        )
    return check_no_password(source)


def _check_sha256(digest: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
        raise unfit("a SHA-256 is 64 hexadecimal digits", "Take it from `sha256sum FILE`, and put it into quotes.")
    return digest.lower()


class WeightsSpec(Section):
    """One file or folder with weights: where it comes from, and where the predictor finds it.

    An entry that is only a text is a path in the project, and stays where it is.
    """

    source: Annotated[str, AfterValidator(_check_source)] = Field(
        description="A URL (https://, hf://owner/repo/file, s3://) or a path, relative to the folder of the spec."
    )
    target: InsidePath = Field(description="Where it is put, relative to the folder of the spec.")
    sha256: Annotated[str, AfterValidator(_check_sha256)] | None = Field(
        default=None, description="The SHA-256 that the file must have, in hexadecimal digits."
    )

    @property
    def is_remote(self) -> bool:
        """Whether it has to be fetched."""
        return _SCHEME.match(self.source) is not None


def _read_entry(value: Any) -> Any:
    """Take a text for the path of what is in the project already."""
    if not isinstance(value, str):
        return value
    if _SCHEME.match(value):
        raise unfit(
            "what is fetched needs a place in the project",
            'Write it as two lines: "source: URL" and "target: path/in/the/project".',
        )
    return {"source": value, "target": value}


WeightsEntry = Annotated[WeightsSpec, BeforeValidator(_read_entry, json_schema_input_type=str | WeightsSpec)]


def check_targets(weights: tuple[WeightsSpec, ...]) -> tuple[WeightsSpec, ...]:
    """Make sure that no two entries are put at the same place, or one inside the other."""
    seen: list[str] = []
    for entry in weights:
        target = entry.target.removeprefix("./").rstrip("/")
        for other in seen:
            if f"{target}/".startswith(f"{other}/") or f"{other}/".startswith(f"{target}/"):
                raise unfit(
                    f"{target} and {other} would be put at the same place, or one inside the other",
                    "Give each entry a target of its own.",
                )
        seen.append(target)
    return weights
