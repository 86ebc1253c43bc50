"""Locks made by the real uv, with an index of our own on loopback."""

import sys
import threading
import zipfile
from collections.abc import Generator, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from servekit.errors import EnvironmentBuildError, UsageError
from servekit.spec import BuildSpec, Spec
from servekit_cli.commands.lock import run
from servekit_cli.image.lock import check_lock, make_lock, read_lock
from servekit_cli.image.lockfile import describe_changes, parse_pins

pytestmark = pytest.mark.usefixtures("index")


class Index:
    """Folders of wheels; their listings are what a package index is (PEP 503)."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url

    def add(self, name: str, version: str, *requires: str) -> Path:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        wheel = folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
        info = f"{name.replace('-', '_')}-{version}.dist-info"
        metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
        metadata += [f"Requires-Dist: {requirement}" for requirement in requires]
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(f"{info}/METADATA", "\n".join(metadata) + "\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")
        return wheel


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the interface
        """Say nothing."""


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Index]:
    """Offer `runtime`, which the servekit of these tests needs to serve, and `shared`, which it needs in turn."""
    folder = tmp_path / "index"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder))) as server:
        index = Index(folder, f"http://127.0.0.1:{server.server_port}")
        index.add("runtime", "1.0", "shared")
        index.add("shared", "1.0")
        monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield index
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def small_servekit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have an installed servekit be found that needs little, so that resolving takes no time."""
    info = tmp_path / "site" / "servekit-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: servekit\nVersion: 1.0\nRequires-Dist: typer\n"
        "Requires-Dist: runtime>=1; (sys_platform != 'win32') and extra == 'server'\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])


@pytest.fixture
def make_spec(tmp_path: Path) -> "SpecMaker":
    return SpecMaker(tmp_path / "model")


class SpecMaker:
    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()

    def __call__(self, **build: object) -> Spec:
        return Spec(
            predictor="predict.py:Predictor", build=BuildSpec.model_validate(build), path=self.root / "servekit.yaml"
        )


def names(text: str) -> Iterator[str]:
    return (pin.name for pin in parse_pins(text) if pin.name is not None)


def test_every_package_has_its_version_and_hashes(index: Index, make_spec: SpecMaker) -> None:
    index.add("numbers", "2.0", "digits")
    index.add("digits", "3.1")

    lock = make_lock(make_spec(python_packages=["numbers"]))

    assert {(pin.name, pin.version) for pin in lock.pins} == {
        ("runtime", "1.0"),
        ("shared", "1.0"),
        ("numbers", "2.0"),
        ("digits", "3.1"),
    }
    assert lock.has_all_hashes
    assert lock.path.read_text() == lock.text


def test_what_the_runtime_needs_stands_apart(index: Index, make_spec: SpecMaker) -> None:
    index.add("numbers", "2.0", "shared")

    lock = make_lock(make_spec(python_packages=["numbers"]))

    assert list(names(lock.runtime_text)) == ["runtime", "shared"]
    assert list(names(lock.text)) == ["runtime", "shared", "numbers"]


def test_what_servekit_stands_in_for_is_not_locked(index: Index, make_spec: SpecMaker) -> None:
    index.add("numbers", "2.0", "coglet")
    spec = make_spec(python_packages=["cog==0.9.4", "numbers"]).model_copy(update={"dialect": "cog"})
    for name in spec.expected_packages:
        index.add(name, "1.0")

    lock = make_lock(spec)

    assert set(names(lock.text)) == {"numbers", "runtime", "shared", *spec.expected_packages}
    check_lock(spec)


def test_locking_again_gives_the_same_bytes(index: Index, make_spec: SpecMaker) -> None:
    index.add("numbers", "2.0")
    spec = make_spec(python_packages=["numbers"])

    assert make_lock(spec).text == make_lock(spec).text


def test_versions_that_still_fit_stay(index: Index, make_spec: SpecMaker) -> None:
    index.add("numbers", "2.0")
    spec = make_spec(python_packages=["numbers"])
    make_lock(spec)
    index.add("numbers", "2.1")

    assert "numbers==2.0" in make_lock(spec).text


def test_upgrade_takes_newer_versions_and_they_are_named(index: Index, make_spec: SpecMaker) -> None:
    index.add("numbers", "2.0")
    spec = make_spec(python_packages=["numbers"])
    old = make_lock(spec)
    index.add("numbers", "2.1")

    new = make_lock(spec, upgrade=True)

    assert list(describe_changes(old.pins, new.pins)) == ["changed numbers 2.0 -> 2.1"]


def test_packages_that_came_and_went_are_named() -> None:
    old, new = parse_pins("a==1\nb==1\n"), parse_pins("b==1\nc==2 ; python_version > '3'\n")

    assert list(describe_changes(old, new)) == ["removed a 1", "added c 2"]


def test_a_lock_of_today_passes_the_check(make_spec: SpecMaker) -> None:
    spec = make_spec()
    make_lock(spec)

    check_lock(spec)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"python_packages": ["shared"]}, {"python_packages": ["shared<2"]}),
        ({"python_version": "3.12"}, {"python_version": "3.13"}),
        ({}, {"index": "https://example.org/simple"}),
    ],
)
def test_a_stale_lock_is_noticed(make_spec: SpecMaker, before: dict[str, object], after: dict[str, object]) -> None:
    make_lock(make_spec(**before))

    with pytest.raises(EnvironmentBuildError, match=r"made from other dependencies.*\n.*`servekit lock`"):
        check_lock(make_spec(**after))


def test_an_edited_requirements_file_makes_a_lock_stale(make_spec: SpecMaker) -> None:
    spec = make_spec(python_requirements="r.txt")
    (spec.root / "r.txt").write_text("shared\n")
    make_lock(spec)

    (spec.root / "r.txt").write_text("shared<2\n")

    lock = read_lock(spec)
    assert lock is not None
    assert not lock.is_current


def test_a_missing_lock_fails_the_check(make_spec: SpecMaker) -> None:
    with pytest.raises(EnvironmentBuildError, match=r"no servekit\.lock in .*\n.*`servekit lock`"):
        check_lock(make_spec())


def test_contradicting_requirements_are_told_in_the_words_of_uv(index: Index, make_spec: SpecMaker) -> None:
    index.add("numbers", "2.0", "shared>=2")

    with pytest.raises(EnvironmentBuildError, match=r"(?s)uv said:.*numbers.*shared>=2.*unsatisfiable.*under build"):
        make_lock(make_spec(python_packages=["numbers", "shared<2"]))


def test_a_failed_attempt_leaves_the_lock_as_it_was(make_spec: SpecMaker) -> None:
    lock = make_lock(make_spec())

    with pytest.raises(EnvironmentBuildError):
        make_lock(make_spec(python_packages=["nowhere-to-be-found"]))

    assert lock.path.read_text() == lock.text


def test_a_wheel_of_the_project_is_locked_by_path_and_hash(index: Index, make_spec: SpecMaker) -> None:
    spec = make_spec(python_requirements="r.txt")
    wheel = index.add("own", "1.0")
    wheel.rename(spec.root / wheel.name)
    (spec.root / "r.txt").write_text(f"./{wheel.name}\n")

    lock = make_lock(spec)

    assert f"\n./{wheel.name} \\\n    --hash=sha256:" in lock.text
    assert str(spec.root) not in lock.text


def test_a_rebuilt_wheel_makes_a_lock_stale(index: Index, make_spec: SpecMaker) -> None:
    spec = make_spec(python_requirements="r.txt")
    wheel = index.add("own", "1.0")
    (spec.root / "r.txt").write_text(f"./{wheel.name}\n")
    wheel.rename(spec.root / wheel.name)
    make_lock(spec)

    index.add("own", "1.0", "shared").rename(spec.root / wheel.name)

    lock = read_lock(spec)
    assert lock is not None
    assert not lock.is_current


@pytest.fixture
def project_in_a_folder(index: Index, make_spec: SpecMaker) -> str:
    """Make a project below the folder of the spec, with a package of its own as a folder in it."""
    project = make_spec.root / "project"
    (project / "lib").mkdir(parents=True)
    (project / "lib" / "pyproject.toml").write_text('[project]\nname = "own"\nversion = "1"\n')
    (project / "pyproject.toml").write_text(
        '[project]\nname = "model"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["own", "shared"]\n'
        '[tool.uv.sources]\nown = { path = "lib" }\n'
        f'[[tool.uv.index]]\nname = "other"\nurl = "{index.url}/"\n'
    )
    return project.name


def test_folders_of_a_project_are_named_as_seen_from_the_spec(make_spec: SpecMaker, project_in_a_folder: str) -> None:
    lock = make_lock(make_spec(python_project=project_in_a_folder))

    assert "\n./project/lib\n" in lock.text
    assert not lock.has_all_hashes


def test_the_indexes_of_a_project_are_kept(index: Index, make_spec: SpecMaker, project_in_a_folder: str) -> None:
    lock = make_lock(make_spec(python_project=project_in_a_folder))

    assert f"\n--extra-index-url {index.url}/\n" in lock.text
    assert lock.runtime_text.startswith(f"--extra-index-url {index.url}/\n")


def test_the_indexes_of_a_requirements_file_are_kept(index: Index, make_spec: SpecMaker) -> None:
    spec = make_spec(python_requirements="r.txt")
    (spec.root / "r.txt").write_text(f"-i {index.url} # ours\n--extra-index-url={index.url}/\nshared\n")

    lock = make_lock(spec)

    assert f"\n--index-url {index.url}\n--extra-index-url {index.url}/\n" in lock.text


def test_the_lock_of_a_uv_project_decides(index: Index, make_spec: SpecMaker) -> None:
    index.add("numbers", "2.0")
    index.add("numbers", "2.1")
    spec = make_spec(python_project=".")
    (spec.root / "pyproject.toml").write_text(
        '[project]\nname = "model"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["numbers"]\n'
    )
    (spec.root / "uv.lock").write_text(
        'version = 1\nrequires-python = ">=3.11"\n\n'
        '[[package]]\nname = "model"\nversion = "1"\nsource = { virtual = "." }\n'
        'dependencies = [{ name = "numbers" }]\n\n'
        '[[package]]\nname = "numbers"\nversion = "2.0"\n'
        f'source = {{ registry = "{index.folder / "numbers"}" }}\n'
        'wheels = [{ path = "numbers-2.0-py3-none-any.whl" }]\n'
    )

    assert "numbers==2.0" in make_lock(spec).text


def test_the_command_tells_what_it_changed(
    index: Index, make_spec: SpecMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = make_spec()
    spec.path.write_text("predictor: predict.py:Predictor\nbuild: {python_packages: [numbers]}\n")
    index.add("numbers", "2.0")
    run(spec.root)
    index.add("numbers", "2.1")

    run(spec.root, upgrade=True)

    assert "  changed numbers 2.0 -> 2.1\n" in capsys.readouterr().err


def test_the_command_only_checks_if_told_so(make_spec: SpecMaker, capsys: pytest.CaptureFixture[str]) -> None:
    spec = make_spec()
    spec.path.write_text("predictor: predict.py:Predictor\n")
    with pytest.raises(EnvironmentBuildError, match=r"no servekit\.lock"):
        run(spec.root, check=True)
    run(spec.root)

    run(spec.root, check=True)

    assert capsys.readouterr().err.endswith("The lock is current.\n")


def test_checking_and_upgrading_exclude_each_other(make_spec: SpecMaker) -> None:
    with pytest.raises(UsageError, match="--check changes nothing, and --upgrade does"):
        run(make_spec().root, check=True, upgrade=True)
