import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from servekit.errors import ImageBuildError
from servekit_cli.image.files import CONTEXT_MARKER, ProjectFile, find_project_files

MakeProject = Callable[..., Path]


@pytest.fixture
def make_project(tmp_path: Path) -> MakeProject:
    def make(*files: str, ignore: str | None = None) -> Path:
        for name in files:
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(name)
        if ignore is not None:
            (tmp_path / ".dockerignore").write_text(ignore)
        return tmp_path

    return make


def list_paths(root: Path, *left_out: str) -> list[str]:
    return [file.path for file in find_project_files(root, left_out).files if file.kind != "folder"]


def test_all_files_of_a_project_go_in(make_project: MakeProject) -> None:
    assert list_paths(make_project("predict.py", "a/b/c.txt", "servekit.yaml")) == [
        "a/b/c.txt",
        "predict.py",
        "servekit.yaml",
    ]


def test_an_empty_folder_goes_in(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    assert find_project_files(tmp_path).files == (ProjectFile("empty", "folder"),)


@pytest.mark.parametrize(
    "name",
    [
        ".git/config",
        "a/.git",
        "a/__pycache__/b.pyc",
        "a/b.pyc",
        ".mypy_cache/x",
        ".env",
        "deploy/.env.production",
        "server.pem",
        "a/id_rsa",
        ".netrc",
        ".servekit/servekit.schema.json",
        "servekit.lock",
        ".dockerignore",
    ],
)
def test_what_nobody_wants_in_an_image_stays_out(make_project: MakeProject, name: str) -> None:
    assert list_paths(make_project("predict.py", name)) == ["predict.py"]


def test_a_virtual_environment_stays_out_whatever_its_name(make_project: MakeProject) -> None:
    assert list_paths(make_project("predict.py", "sub/my-env/pyvenv.cfg", "sub/my-env/bin/python")) == ["predict.py"]


def test_a_build_context_in_the_project_stays_out(make_project: MakeProject) -> None:
    assert list_paths(make_project("predict.py", f"out/{CONTEXT_MARKER}", "out/app/predict.py")) == ["predict.py"]


@pytest.mark.parametrize(
    ("ignore", "left"),
    [
        ("*.txt", ["a.md", "sub/a.md", "sub/a.txt"]),
        ("**/*.txt", ["a.md", "sub/a.md"]),
        ("sub", ["a.md", "a.txt"]),
        ("/sub/", ["a.md", "a.txt"]),
        ("./sub/./a.md", ["a.md", "a.txt", "sub/a.txt"]),
        ("x/../sub", ["a.md", "a.txt"]),
        ("# sub\n\n", ["a.md", "a.txt", "sub/a.md", "sub/a.txt"]),
        ("*\n!sub/a.txt", ["sub/a.txt"]),
        ("sub\n!sub/a.txt", ["a.md", "a.txt", "sub/a.txt"]),
        ("?.md\nsub/[a-c].md", ["a.txt", "sub/a.txt"]),
        ("!a.txt\na.txt", ["a.md", "sub/a.md", "sub/a.txt"]),
    ],
)
def test_a_dockerignore_counts_as_docker_reads_it(make_project: MakeProject, ignore: str, left: list[str]) -> None:
    assert list_paths(make_project("a.md", "a.txt", "sub/a.md", "sub/a.txt", ignore=ignore)) == left


def test_a_line_for_a_folder_counts_at_any_depth_beside_one_that_takes_a_file_back(make_project: MakeProject) -> None:
    root = make_project("a/b/c/data/keep", "a/b/c/data/drop", "a/b/c/data/d/drop", ignore="**/data\n!a/b/c/data/keep\n")

    assert list_paths(root) == ["a/b/c/data/keep"]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("ca.pem", "!ca.pem"),
        ("certs/ca.pem", "!certs/ca.pem"),
        (".env", "!.env"),
        ("venv/pyvenv.cfg", "!venv"),
        (".git/HEAD", "!.git"),
    ],
)
def test_a_line_of_the_project_brings_a_default_back(make_project: MakeProject, name: str, line: str) -> None:
    assert list_paths(make_project(name, ignore=line)) == [name]


def test_credentials_that_were_left_out_are_told(make_project: MakeProject) -> None:
    root = make_project("predict.py", "certs/ca.pem", ".env", ".git/x", "other.key", ignore="other.key")

    assert find_project_files(root).withheld == (".env", "certs/ca.pem")


def test_weights_stay_out_even_when_a_line_wants_them_in(make_project: MakeProject) -> None:
    root = make_project("predict.py", "models/a.bin", "big/b.bin", ignore="!models/a.bin")

    assert list_paths(root, "./models/a.bin", "big/") == ["predict.py"]


def test_a_link_inside_the_project_stays_a_link(make_project: MakeProject) -> None:
    root = make_project("data/a.txt")
    (root / "latest").symlink_to("data")
    (root / "data" / "b.txt").symlink_to("../data/a.txt")

    links = [(file.path, file.target) for file in find_project_files(root).files if file.kind == "link"]

    assert links == [("data/b.txt", "a.txt"), ("latest", "data")]


def test_an_absolute_link_into_the_project_becomes_a_relative_one(make_project: MakeProject) -> None:
    root = make_project("data/a.txt", "sub/b.txt")
    (root / "sub" / "link").symlink_to(root / "data" / "a.txt")

    assert [file.target for file in find_project_files(root).files if file.kind == "link"] == ["../data/a.txt"]


@pytest.mark.parametrize("target", ["/etc/passwd", "../other", "sub/../../other"])
def test_a_link_out_of_the_project_is_refused_with_what_to_do(make_project: MakeProject, target: str) -> None:
    root = make_project("predict.py")
    (root / "link").symlink_to(target)

    with pytest.raises(ImageBuildError, match=r"link is a link to .*outside of the project(.|\n)*\.dockerignore"):
        find_project_files(root)


def test_an_ignored_link_may_lead_anywhere(make_project: MakeProject) -> None:
    root = make_project("predict.py", ignore="link")
    (root / "link").symlink_to("/etc/passwd")

    assert list_paths(root) == ["predict.py"]


def test_a_project_may_be_reached_through_a_link(make_project: MakeProject, tmp_path: Path) -> None:
    root = make_project("project/a.txt")
    (root / "project" / "link").symlink_to("a.txt")
    (tmp_path / "door").symlink_to("project")

    assert list_paths(tmp_path / "door") == ["a.txt", "link"]


def test_what_is_no_file_is_skipped_and_told(make_project: MakeProject) -> None:
    root = make_project("predict.py")
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "socket"))

        found = find_project_files(root)

    assert [file.path for file in found.files] == ["predict.py"]
    assert found.skipped == (
        "pipe (neither a file, a folder nor a link)",
        "socket (neither a file, a folder nor a link)",
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_skipped_and_told(make_project: MakeProject) -> None:
    root = make_project("predict.py", "secret", "folder/a")
    (root / "secret").chmod(0)
    (root / "folder").chmod(0)

    found = find_project_files(root)
    (root / "folder").chmod(0o755)

    assert found.skipped == ("folder (cannot be read: Permission denied)", "secret (no permission to read it)")


def test_a_dockerignore_that_is_no_text_is_told(make_project: MakeProject) -> None:
    root = make_project("predict.py")
    (root / ".dockerignore").write_bytes(b"\xff\xfe")

    with pytest.raises(ImageBuildError, match=r"\.dockerignore cannot be read"):
        find_project_files(root)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ImageBuildError, match="cannot be read: No such file"):
        find_project_files(tmp_path / "none")
