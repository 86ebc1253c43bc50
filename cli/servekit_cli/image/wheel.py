"""How servekit itself comes into an image: as the release that builds it, or as a wheel of what is installed here.

The wheel is written here, and not by the project's build backend: that would take seconds and an index to
load the backend from, and it needs the source tree, which an install from git or from a wheel does not have.
What is packed is what runs on this machine. The command line stays out, so that changing it changes no image.
"""

import base64
import hashlib
import importlib.metadata
import io
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import servekit

__all__ = ["OwnSource", "find_own_source"]

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can hold: the same files give the same bytes, whenever they are packed."""
_MODE: Final = 0o100644 << 16
_WHEEL: Final = b"Wheel-Version: 1.0\nGenerator: servekit\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@dataclass(frozen=True)
class OwnSource:
    """Where an image gets servekit from.

    Attributes:
        version: The version that builds the image.
        wheel: The name of the wheel to install; None where the index has this version.
    """

    version: str
    wheel: str | None

    @property
    def requirement(self) -> str:
        """What to install where there is no wheel: `servekit==1.2.3`."""
        return f"servekit=={self.version}"

    def write_wheel(self, folder: Path) -> Path:
        """Put the wheel into a folder; what is there and the same stays untouched.

        Returns:
            Its path.
        """
        assert self.wheel is not None, "a release comes from the index"
        file, content = folder / self.wheel, _pack(self.version)
        if not file.is_file() or file.read_bytes() != content:
            part = file.with_suffix(f".{os.getpid()}")  # another build may be reading the file
            part.write_bytes(content)
            part.replace(file)
        return file


def find_own_source() -> OwnSource:
    """Find out how servekit was installed here.

    An install from an index leaves no record of where it came from; one from a folder, a file, an
    address or a repository does (PEP 610), and then no index can be relied on to have the same code.
    """
    own = importlib.metadata.distribution("servekit")
    is_release = own.read_text("direct_url.json") is None
    return OwnSource(own.version, None if is_release else f"servekit-{own.version}-py3-none-any.whl")


def _pack(version: str) -> bytes:
    """Write a wheel as the specification of the binary distribution format has it (PEP 427)."""
    record: list[str] = []
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in (*_list_package(), *_list_metadata(version)):
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(content)}\n")
            _add(wheel, name, content)
        name = f"servekit-{version}.dist-info/RECORD"
        _add(wheel, name, "".join((*record, f"{name},,\n")).encode())
    return buffer.getvalue()


def _add(wheel: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.external_attr = _MODE
    wheel.writestr(entry, content, zipfile.ZIP_DEFLATED)


def _list_package() -> Iterator[tuple[str, bytes]]:
    package = Path(os.path.realpath(servekit.__file__)).parent
    for file in sorted(package.rglob("*")):
        name = file.relative_to(package.parent)
        if file.is_file() and "__pycache__" not in name.parts:
            yield name.as_posix(), file.read_bytes()


def _list_metadata(version: str) -> Iterator[tuple[str, bytes]]:
    folder = f"servekit-{version}.dist-info"
    own = importlib.metadata.distribution("servekit")
    yield f"{folder}/METADATA", (own.read_text("METADATA") or "").encode()
    if licence := own.read_text("licenses/LICENSE"):
        yield f"{folder}/licenses/LICENSE", licence.encode()
    yield f"{folder}/WHEEL", _WHEEL
