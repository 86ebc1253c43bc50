"""Which nvidia/cuda image `build.cuda` and `build.cudnn` of a cog.yaml stand for.

Cog builds on the image with cuDNN and the compilers. No table says which goes with which framework:
only the names of the images follow rules that changed over time.

Source:
    The tags of nvidia/cuda on Docker Hub, for Ubuntu 22.04, and for 20.04 where there are no others.
"""

import re
from typing import Annotated, Final

from pydantic import AfterValidator

from servekit.spec.values import fault

__all__ = ["CudaVersion", "bundled_cudnn", "name_cuda_image"]

_VERSION: Final = re.compile(r"(\d+)\.(\d+)(?:\.\d+)?")
_OLDEST_MAJOR: Final = 11
_FIRST_ON_UBUNTU_22: Final = (11, 7)
_FIRST_WITH_CUDNN_9: Final = (12, 3)
_FIRST_WITHOUT_NUMBER: Final = (12, 4)
# Elsewhere the first release of a minor version has an image with cuDNN.
_FIRST_PATCHES: Final = {
    "11.0": "11.0.3",
    "11.1": "11.1.1",
    "11.2": "11.2.2",
    "11.3": "11.3.1",
    "11.4": "11.4.3",
    "11.5": "11.5.2",
    "11.6": "11.6.2",
    "11.7": "11.7.1",
    "12.2": "12.2.2",
    "12.3": "12.3.2",
    "12.4": "12.4.1",
}


def bundled_cudnn(cuda: str) -> str:
    """Give the major version of cuDNN in the image of a CUDA version."""
    return "9" if _read(cuda) >= _FIRST_WITH_CUDNN_9 else "8"


def name_cuda_image(cuda: str) -> str:
    """Name the image the way `build.cuda` of a servekit.yaml does, such as `12.6-cudnn-devel`."""
    number = "" if _read(cuda) >= _FIRST_WITHOUT_NUMBER else bundled_cudnn(cuda)
    system = "" if _read(cuda) >= _FIRST_ON_UBUNTU_22 else "-ubuntu20.04"
    return f"{_FIRST_PATCHES.get(cuda, cuda)}-cudnn{number}-devel{system}"


def _check(version: str) -> str:
    match = _VERSION.fullmatch(version)
    problem = None
    if match is None:
        problem = "must include both major and minor versions"
    elif int(match[1]) < _OLDEST_MAJOR:
        problem = f"minimum supported CUDA version is {_OLDEST_MAJOR}"
    if problem is not None:
        raise fault(f'invalid build.cuda "{version}": {problem}', 'Set it to "12.6", or remove the line.')
    return version


def _read(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


CudaVersion = Annotated[str, AfterValidator(_check)]
