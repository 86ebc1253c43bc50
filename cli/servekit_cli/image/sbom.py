"""A software bill of materials: everything that is installed in an image, as CycloneDX 1.6.

Source:
    CycloneDX 1.6 (ECMA-424); package URLs as in github.com/package-url/purl-spec, types `pypi` and `deb`.
"""

# pyright: reportCallIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# The decorators of cyclonedx's classes hide their constructors and attributes from pyright; mypy sees and checks them.

import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from servekit_cli.image.description import Description, Package

__all__ = ["make_sbom"]

_NAMESPACE: Final = uuid.UUID("3b0e7a52-6f2c-4f0e-9c53-6b1d0c0f5a11")
"""Of serial numbers; chosen at random once. The number is made from the content: same image, same document."""


def make_sbom(description: Description, *, title: str, version: str | None, created: str) -> str:
    """Write the bill of materials of an image, as JSON.

    Args:
        description: What is in it.
        title: What it is.
        version: Of the project, if known.
        created: When it was made: RFC 3339.
    """
    image = Component(
        name=title, version=version, type=ComponentType.CONTAINER, bom_ref=f"{title}@{version}" if version else title
    )
    components = [*_list_python(description), *_list_system(description)]
    tool = Component(name="servekit", version=description.servekit, type=ComponentType.APPLICATION)
    tools = ToolRepository(components=[tool])
    metadata = BomMetaData(component=image, timestamp=datetime.fromisoformat(created), tools=tools)
    bom = Bom(components=components, metadata=metadata)
    bom.register_dependency(image, components)
    bom.serial_number = uuid.uuid5(_NAMESPACE, "\n".join([str(image.bom_ref), created, *_list_refs(components)]))
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2) + "\n"


def _list_python(description: Description) -> Iterator[Component]:
    python = PackageURL("generic", name="python", version=description.python)
    yield _make(Package("python", description.python, "PSF-2.0"), python, ComponentType.PLATFORM)
    for package in description.packages:
        yield _make(package, PackageURL("pypi", name=package.name, version=package.version), ComponentType.LIBRARY)


def _list_system(description: Description) -> Iterator[Component]:
    system = description.distribution or {}
    name, version = system.get("id", "debian"), system.get("version")
    for package in description.system_packages:
        qualifiers = {"arch": package.arch or "", "distro": f"{name}-{version}" if version else ""}
        url = PackageURL(
            "deb", name, package.name, package.version, {key: text for key, text in qualifiers.items() if text}
        )
        yield _make(package, url, ComponentType.LIBRARY)


def _make(package: Package, url: PackageURL, kind: ComponentType) -> Component:
    licenses = [LicenseFactory().make_from_string(package.license)] if package.license else []
    return Component(
        name=package.name, version=package.version, type=kind, purl=url, bom_ref=url.to_string(), licenses=licenses
    )


def _list_refs(components: list[Component]) -> list[str]:
    return sorted(str(component.bom_ref) for component in components)
