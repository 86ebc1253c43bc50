"""Kinds of values that several sections of the spec hold, each with its own words for what does not fit."""

import math
import re
from pathlib import PurePosixPath
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, ValidationInfo
from pydantic_core import PydanticCustomError

from servekit.spec.units import PositiveDuration, Size

__all__ = [
    "FROM_ENVIRONMENT",
    "AbsolutePath",
    "GpuShare",
    "HangTimeout",
    "HeaderName",
    "ImageName",
    "InsidePath",
    "SecretId",
    "SystemPackage",
    "Text",
    "UploadUrl",
    "VariableName",
    "VariableValue",
    "WorkerMemory",
    "check_no_password",
    "check_not_blank",
    "fault",
    "unfit",
]


FROM_ENVIRONMENT: Final = {"is_from_environment": True}
"""The validation context of values that do not stand in a file, and so may hold a password."""


def unfit(expected: str, remedy: str) -> PydanticCustomError:
    """Make the error for a value: what was expected of it, and how to mend it."""
    return PydanticCustomError("servekit_value", "{expected}", {"expected": expected, "remedy": remedy})


def fault(sentence: str, remedy: str) -> PydanticCustomError:
    """Make the error for what is wrong in other words than that a value is another one than expected."""
    return PydanticCustomError("servekit_fault", "{sentence}", {"sentence": sentence, "remedy": remedy})


def check_no_password(url: str) -> str:
    """Refuse a URL with a password in it: what stands in a spec gets into the image and its history."""
    try:
        password = urlsplit(url).password
    except ValueError:
        raise unfit("this is no URL", "Write it as https://host/path.") from None
    if password is not None:
        raise unfit(
            "a password in a URL could be read by everybody who has the image",
            "Take it out, and give it to the build: servekit build --secret id=netrc,src=$HOME/.netrc",
        )
    return url


def check_not_blank(text: str) -> str:
    """Refuse a text that says nothing."""
    if not text.strip():
        raise unfit("it may not be empty", "Fill it in, or remove the line.")
    return text


def _check_inside_project(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not path or path.startswith("/") or ".." in parts:
        raise unfit(
            "a path here is relative to the folder of the spec and stays inside it",
            "Move what it names into that folder; only that folder gets into an image.",
        )
    return path


def _check_system_package(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]*(:[a-z0-9]+)?(=[A-Za-z0-9.+:~-]+)?", name):
        raise unfit(
            "a system package is the name of one Debian package, with =version behind it if need be",
            'Write one package per item, such as "ffmpeg"; other commands belong under build.run.',
        )
    return name


def _check_secret_id(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise unfit(
            "the id of a secret has letters, digits, dots, _ and - only",
            "Write it as in `servekit build --secret id=NAME,src=FILE`.",
        )
    return name


def _check_absolute_path(path: str) -> str:
    # Whatever else stands in a --mount of a Dockerfile, without a way to quote it.
    if not re.fullmatch(r"/[^\s,\"'\\$]+", path):
        raise unfit("a path in the image begins with a slash, without blanks", 'Write it as "/etc/pip.conf".')
    return path


def _check_variable_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise unfit("this cannot be the name of a variable", "Use letters, digits and _, with no digit in front.")
    return name


def _check_variable_value(value: str) -> str:
    # A Dockerfile has no way to write these into an ENV line.
    if any(character in value for character in "\r\n\0"):
        raise unfit("the value of a variable is one line", "Put the text into a file of the project and name that.")
    return value


def _check_header_name(name: str) -> str:
    # A token, RFC 9110 section 5.6.2.
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
        raise unfit(
            "this cannot be the name of a header: that has no blanks, colons or quotes",
            'Write only the name, such as "X-API-Key" or "Authorization".',
        )
    return name


def _check_image_name(name: str) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9][\w.:/@-]*", name):
        raise unfit(
            "an image is named like registry/name:tag or name@sha256:digest",
            'Write it as for `docker pull`, such as "pytorch/pytorch:2.9.1-cuda12.8-cudnn9-runtime".',
        )
    return name


def _check_gpu_share(share: float) -> float:
    if not math.isfinite(share) or share <= 0 or (share >= 1 and share != int(share)):
        raise unfit("it must be a whole number, or a part of one GPU such as 0.5", "Write it as 1, 2 or 0.5.")
    return share


def _check_worker_memory(size: int) -> int:
    if size < _LEAST_WORKER_BYTES:
        raise unfit(
            f"a worker takes {_LEAST_WORKER_BYTES // 10**6} MB before it has loaded any model",
            "Set it well above what the model takes after setup, as `servekit doctor` or /metrics shows it.",
        )
    return size


_LEAST_WORKER_BYTES = 50_000_000


def _check_hang_timeout(seconds: float) -> float:
    if seconds < 1:
        raise unfit(
            "a worker that is only busy may take some tenths of a second to answer; at least 1s makes sense",
            "Set it well above the longest time for which the model keeps its event loop or the GIL, such as 30s.",
        )
    return seconds


def _check_upload_url(url: str, info: ValidationInfo) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+([/?][^\s#]*)?", url) or not _has_host(url):
        raise unfit("it must be a URL of http or https", "Write it as https://host/path; `{id}` may stand in its path.")
    parts = urlsplit(url)
    if "{id}" in parts.query:
        raise unfit("`{id}` may stand in the path only", "Write it as https://host/path/{id}.")
    if parts.password is not None and info.context != FROM_ENVIRONMENT:
        raise unfit(
            "a password in a URL could be read by everybody who has the image",
            "Take it out, and set the variable SERVEKIT_UPLOAD_URL where the server runs.",
        )
    return url


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(re.fullmatch(r"[A-Za-z0-9._~:%-]+", parts.hostname or "")) and parts.port != 0
    except ValueError:  # brackets or a port that nothing can be made of
        return False


HeaderName = Annotated[str, AfterValidator(_check_header_name)]
Text = Annotated[str, AfterValidator(check_not_blank)]
InsidePath = Annotated[str, AfterValidator(_check_inside_project)]
SecretId = Annotated[str, AfterValidator(_check_secret_id)]
AbsolutePath = Annotated[str, AfterValidator(_check_absolute_path)]
SystemPackage = Annotated[str, AfterValidator(_check_system_package)]
VariableName = Annotated[str, AfterValidator(_check_variable_name)]
VariableValue = Annotated[str, AfterValidator(_check_variable_value)]
HangTimeout = Annotated[PositiveDuration, AfterValidator(_check_hang_timeout)]
ImageName = Annotated[str, AfterValidator(_check_image_name)]
GpuShare = Annotated[float, AfterValidator(_check_gpu_share)]
UploadUrl = Annotated[str, AfterValidator(_check_upload_url)]
WorkerMemory = Annotated[Size, AfterValidator(_check_worker_memory)]
