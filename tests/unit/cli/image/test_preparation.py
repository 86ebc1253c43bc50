import re
from pathlib import Path
from typing import Any

import pytest

from servekit.errors import ImageBuildError, UsageError
from servekit.spec import Spec, load_spec
from servekit_cli.engine.request import BuildSecret
from servekit_cli.image.dryrun import describe_build_command, write_dry_run
from servekit_cli.image.preparation import EngineFacts, Preparation, prepare_build


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVEKIT_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "predict.py").write_text("class Predictor: ...\n")
    (root / "servekit.yaml").write_text("predictor: predict.py:Predictor\n")
    return root


def load(project: Path, more: str = "") -> Spec:
    (project / "servekit.yaml").write_text(f"predictor: predict.py:Predictor\n{more}")
    return load_spec(project)


def prepare(spec: Spec, **engine: Any) -> Preparation:
    return prepare_build(spec, EngineFacts(**engine))


def list_paths(preparation: Preparation) -> list[str]:
    return sorted(entry.path for entry in preparation.entries if not entry.path.endswith(".whl"))


def test_a_context_holds_the_dockerfile_the_project_and_servekit(project: Path) -> None:
    preparation = prepare(load(project))

    assert list_paths(preparation) == [".servekit/context", "Dockerfile", "app", "app/predict.py", "app/servekit.yaml"]
    assert any(re.fullmatch(r"\.servekit/servekit-.*\.whl", entry.path) for entry in preparation.entries)


def test_a_predictor_that_dockerignore_leaves_out_is_told_before_the_build(project: Path) -> None:
    (project / ".dockerignore").write_text("*.py\n")

    with pytest.raises(ImageBuildError, match=r"predict\.py, which is the predictor, does not get into the image"):
        prepare(load(project))


def test_a_spec_of_another_name_gets_the_one_that_the_image_looks_for(project: Path) -> None:
    (project / "other.yaml").write_text("predictor: predict.py:Other\n")

    preparation = prepare(load_spec(project / "other.yaml"))

    (entry,) = [entry for entry in preparation.entries if entry.path == "app/servekit.yaml"]
    assert entry.source == project / "other.yaml"


def test_the_same_project_gives_the_same_context(project: Path) -> None:
    spec = load(project, "build: {python_packages: [numpy]}")

    assert prepare(spec) == prepare(spec)


def test_editing_code_changes_nothing_but_the_code(project: Path) -> None:
    spec = load(project, "build: {python_packages: [numpy]}")
    before = prepare(spec)
    (project / "predict.py").write_text("class Predictor: x = 1\n")

    assert prepare(spec) == before


def test_weights_are_not_among_the_projects_files(project: Path) -> None:
    (project / "models").mkdir()
    (project / "models/a.bin").write_text("w")
    spec = load(project, "weights: [models/a.bin]")

    preparation = prepare(spec, weights_image="servekit-weights:1")

    assert not [path for path in list_paths(preparation) if "a.bin" in path]
    assert "FROM servekit-weights:1 AS weights" in preparation.dockerfile


def test_a_file_of_two_gigabytes_that_is_ignored_costs_nothing(project: Path) -> None:
    (project / ".dockerignore").write_text("*.ckpt\n")
    with (project / "old.ckpt").open("wb") as stream:
        stream.truncate(2_000_000_000)  # sparse

    preparation = prepare(load(project))

    assert "app/old.ckpt" not in list_paths(preparation)
    assert preparation.notes == ()


def test_the_ca_is_in_the_context_only_where_secrets_cannot_be_passed(project: Path) -> None:
    ca = project / "company.crt"
    ca.touch()

    with_file, with_secret = prepare(load(project), ca_file=ca), prepare(load(project), secrets=("ca",))

    assert ".servekit/ca.pem" in list_paths(with_file)
    assert ".servekit/ca.pem" not in list_paths(with_secret)


def test_an_own_dockerfile_is_taken_as_it_is(project: Path) -> None:
    (project / "Own.Dockerfile").write_text("FROM mine\n")

    preparation = prepare(load(project, "build: {dockerfile: Own.Dockerfile}"))

    assert preparation.dockerfile == "FROM mine\n"


def test_an_own_dockerfile_finds_the_weights_in_the_context(project: Path) -> None:
    (project / "Dockerfile").write_text("FROM scratch\nCOPY weights/ /app/\n")
    (project / "model.bin").write_text("w")

    preparation = prepare(load(project, "build: {dockerfile: Dockerfile}\nweights: [model.bin]"))

    assert "weights/model.bin" in list_paths(preparation)


def test_an_own_dockerfile_that_is_missing_is_told(project: Path) -> None:
    with pytest.raises(ImageBuildError, match=r"Dockerfile, which build\.dockerfile names, cannot be read"):
        prepare(load(project, "build: {dockerfile: Dockerfile}"))


def test_a_large_project_is_told_with_its_largest_files(project: Path) -> None:
    for index in range(6):
        with (project / f"{index}.bin").open("wb") as stream:
            stream.truncate(200_000_000 + index * 100_000_000)  # sparse

    (note,) = prepare(load(project)).notes

    assert note.startswith("The project has 2.7 GB of files. The largest:\n    0.70 GB  5.bin\n")
    assert "weights" in note
    assert ".dockerignore" in note
    assert "0.bin" not in note


def test_a_project_of_ordinary_size_has_nothing_to_tell(project: Path) -> None:
    assert prepare(load(project)).notes == ()


def test_credentials_that_stay_out_are_told(project: Path) -> None:
    (project / ".env").touch()

    (note,) = prepare(load(project)).notes

    assert note.startswith("Left out, because they look like credentials: .env.\n")
    assert "`!.env`" in note


def test_a_lock_that_is_behind_is_told_and_used(project: Path) -> None:
    (project / "servekit.lock").write_text("# inputs: sha256:old\n")

    preparation = prepare(load(project))

    assert "servekit lock" in preparation.notes[0]
    assert "runtime.lock" in preparation.dockerfile


def test_a_dry_run_writes_all_that_a_build_needs(project: Path, tmp_path: Path) -> None:
    (project / "model.bin").write_text("weights")

    write_dry_run(load(project, "weights: [model.bin]"), tmp_path / "out", [])

    assert (tmp_path / "out/app/predict.py").read_text() == (project / "predict.py").read_text()
    assert (tmp_path / "out/weights/model.bin").read_text() == "weights"
    assert not (tmp_path / "out/app/model.bin").exists()


def test_a_dry_run_into_the_project_is_no_part_of_the_next_one(project: Path) -> None:
    spec = load(project)
    write_dry_run(spec, project / "out", [])

    write_dry_run(spec, project / "out", [])

    assert not (project / "out/app/out").exists()


def test_a_dry_run_removes_nothing_that_servekit_did_not_write(project: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").touch()

    with pytest.raises(UsageError, match="was not written by servekit"):
        write_dry_run(load(project), tmp_path / "mine", [])

    assert (tmp_path / "mine/thesis.txt").exists()


def test_the_command_to_build_by_hand_passes_the_secrets() -> None:
    secrets = [BuildSecret("ca", file=Path("/etc/my ca.pem")), BuildSecret("token", value="hunter2")]

    assert describe_build_command(Path("out"), secrets) == (
        "docker build --secret 'id=ca,src=/etc/my ca.pem' --secret id=token,env=VARIABLE out"
    )


def test_a_cache_that_cannot_be_written_to_is_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVEKIT_CACHE_DIR", "/dev/null")

    with pytest.raises(ImageBuildError, match=r"/dev/null/wheels.*Not a directory(.|\n)*SERVEKIT_CACHE_DIR"):
        prepare_build(load(project), EngineFacts())
