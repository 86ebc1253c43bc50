"""What a Dockerfile depends on beside the spec."""

from dataclasses import dataclass
from typing import Final

__all__ = ["DEFAULT_PYTHON", "BuildFacts"]

DEFAULT_PYTHON: Final = "3.12"
"""The Python of an image whose spec names none."""


@dataclass(frozen=True)
class BuildFacts:
    """What is known of this machine, the engine and the project when a build begins.

    Attributes:
        servekit_version: The version that builds.
        runtime_requirements: What the server and a worker need in the image.
        uv: The requirement for the uv that installs, such as `uv==0.9.7`.
        servekit_wheel: The wheel in `.servekit/` that servekit is installed from; None for a release, which
            comes from the index.
        has_mounts: Whether the engine builds with BuildKit, which mounts files and caches.
        has_links: Whether it knows `COPY --link`.
        secrets: The ids of the secrets that are passed to the build; needs mounts.
        has_ca_file: Whether `.servekit/ca.pem` holds the certificates to trust, where there are no secrets.
        has_lock: Whether `.servekit/install/` holds servekit.lock, and runtime.lock with the runtime's part of it.
        requires_hashes: Whether each package of the lock has a hash.
        installs: What `uv pip install` is told to install for the project, beside `requirements.txt`; paths go
            out from `install_folder`.
        install_folder: The folder below `.servekit/install/` in which that is done; None if the project has no
            dependencies.
        has_local_folders: Whether one of them is a folder, which is built where it stands.
        base_image: A base image of servekit's that fits; None to do its steps in this build.
        weights_image: The image that holds the weights.
        has_weights_folder: Whether the context holds them instead, in `weights/`.
        default_python: The Python of the image when the spec names none.
    """

    servekit_version: str
    runtime_requirements: tuple[str, ...]
    uv: str
    servekit_wheel: str | None = None
    has_mounts: bool = True
    has_links: bool = True
    secrets: tuple[str, ...] = ()
    has_ca_file: bool = False
    has_lock: bool = False
    requires_hashes: bool = False
    installs: tuple[str, ...] = ()
    install_folder: str | None = None
    has_local_folders: bool = False
    base_image: str | None = None
    weights_image: str | None = None
    has_weights_folder: bool = False
    default_python: str = DEFAULT_PYTHON

    @property
    def has_install_files(self) -> bool:
        """Whether the context has files in `.servekit/install/`."""
        return self.has_lock or self.install_folder is not None
