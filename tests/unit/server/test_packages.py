import sys
from pathlib import Path

import pytest

from servekit.server.packages import list_packages, list_system_packages, read_distribution


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty folder the only place where packages are found."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    return tmp_path


def install(site: Path, name: str, version: str, *metadata: str) -> None:
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = ("Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *metadata)
    (info / "METADATA").write_text("\n".join(lines) + "\n")


def test_packages_are_listed_by_name(site: Path) -> None:
    install(site, "zlib-ng", "1.0")
    install(site, "Alpha", "2.0")

    assert list_packages() == [{"name": "Alpha", "version": "2.0"}, {"name": "zlib-ng", "version": "1.0"}]


def test_of_two_that_are_there_the_imported_one_is_listed(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(site / "first", "some.name", "2.0")
    install(site / "second", "some-name", "1.0")
    monkeypatch.setattr(sys, "path", [str(site / "first"), str(site / "second")])

    assert list_packages() == [{"name": "some.name", "version": "2.0"}]


def test_what_is_half_removed_is_left_out(site: Path) -> None:
    (site / "broken-1.0.dist-info").mkdir()

    assert list_packages() == []


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (["License-Expression: MIT", "License: see file"], "MIT"),
        (["Classifier: License :: OSI Approved :: MIT License", "License: see file"], "MIT License"),
        (["Classifier: License :: OSI Approved", "License: BSD"], "BSD"),
        (["Classifier: License :: Public Domain", "Classifier: License :: Other"], "Public Domain or Other"),
        (["License: UNKNOWN"], None),
        ([f"License: {'long ' * 30}"], None),
        (["Classifier: Topic :: Software"], None),
    ],
)
def test_a_licence_is_named_where_the_metadata_names_one(site: Path, metadata: list[str], expected: str | None) -> None:
    install(site, "alpha", "1.0", *metadata)

    assert list_packages()[0].get("license") == expected


def test_installed_system_packages_are_listed_by_name(tmp_path: Path) -> None:
    (tmp_path / "status").write_text(
        "Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:1.3\n"
        "Description: compression library\n Status: of no importance\n\n"
        "Package: removed\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 2\n\n"
        "Package: adduser\nStatus: install ok installed\nArchitecture: all\nVersion: 3.1\n\n"
    )

    assert list_system_packages(tmp_path / "status") == [
        {"name": "adduser", "version": "3.1", "arch": "all"},
        {"name": "zlib1g", "version": "1:1.3", "arch": "amd64"},
    ]


def test_a_system_without_dpkg_has_none(tmp_path: Path) -> None:
    assert list_system_packages(tmp_path / "status") == []


def test_the_distribution_is_named_as_far_as_it_names_itself(tmp_path: Path) -> None:
    (tmp_path / "os-release").write_text('PRETTY_NAME="Ubuntu 22.04"\nID=ubuntu\n\nVERSION_ID="22.04"\n')
    (tmp_path / "rolling").write_text("ID=arch\n")

    assert read_distribution(tmp_path / "os-release") == {"id": "ubuntu", "version": "22.04"}
    assert read_distribution(tmp_path / "rolling") == {"id": "arch"}
    assert read_distribution(tmp_path / "missing") == {}
