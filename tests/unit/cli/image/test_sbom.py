import json
from typing import Any

from cyclonedx.schema import SchemaVersion
from descriptions import make_description

from servekit_cli.image.description import Description
from servekit_cli.image.sbom import make_sbom

CREATED = "2026-01-01T00:00:00Z"


def make(description: Description | None = None) -> str:
    return make_sbom(description or make_description(), title="my-model", version="v1", created=CREATED)


def find_fault(document: str) -> object:
    """Return what is wrong with a document; None if it is valid."""
    # Here, since this import takes two seconds, in each of the processes that collect the tests.
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(document)


def read() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(make())
    return document


def find(name: str) -> dict[str, Any]:
    components: list[dict[str, Any]] = read()["components"]
    [component] = [component for component in components if component["name"] == name]
    return component


def test_the_document_is_valid_cyclonedx() -> None:
    assert find_fault(make()) is None


def test_python_packages_have_package_urls_of_their_index() -> None:
    assert find("MarkupSafe")["purl"] == "pkg:pypi/markupsafe@3.0"
    assert find("typing_extensions")["purl"] == "pkg:pypi/typing-extensions@4.1"


def test_system_packages_have_package_urls_of_their_distribution() -> None:
    assert find("zlib1g")["purl"] == "pkg:deb/debian/zlib1g@1:1.3?arch=amd64&distro=debian-12"


def test_python_itself_is_listed() -> None:
    assert find("python")["version"] == "3.12.1"


def test_licences_are_given_as_exactly_as_they_are_known() -> None:
    assert find("MarkupSafe")["licenses"] == [{"license": {"id": "BSD-3-Clause"}}]
    assert find("both")["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    assert find("typing_extensions")["licenses"] == [{"license": {"name": "Python Software Foundation License"}}]
    assert "licenses" not in find("plain")


def test_the_image_is_what_it_is_about() -> None:
    metadata = read()["metadata"]

    assert (metadata["component"]["name"], metadata["component"]["type"]) == ("my-model", "container")
    assert metadata["timestamp"].startswith("2026-01-01T00:00:00")


def test_the_same_image_gives_the_same_bytes() -> None:
    assert make() == make()


def test_another_package_gives_another_serial_number() -> None:
    other = make(make_description(packages=()))

    assert json.loads(other)["serialNumber"] != read()["serialNumber"]


def test_a_system_that_is_not_known_has_python_packages_only() -> None:
    bare = make(make_description(system_packages=(), distribution={}))

    assert find_fault(bare) is None
    assert "pkg:deb" not in bare
