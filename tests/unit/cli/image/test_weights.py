from pathlib import Path

import pytest

from servekit_cli.image.weights import stage_weights, weights_digest, weights_tag
from servekit_cli.weights import WeightFile


@pytest.fixture
def file(tmp_path: Path) -> WeightFile:
    path = tmp_path / "blob"
    path.write_bytes(b"weights")
    path.chmod(0o444)
    return WeightFile("models/model.bin", "a" * 64, path, 7)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "context").mkdir()
    return tmp_path / "context"


def other(file: WeightFile, **changes: str) -> WeightFile:
    values = {"target": file.target, "sha256": file.sha256, **changes}
    return WeightFile(values["target"], values["sha256"], file.path, file.size)


@pytest.mark.parametrize("changes", [{"target": "models/other.bin"}, {"sha256": "b" * 64}])
def test_another_target_or_content_is_another_image(file: WeightFile, changes: dict[str, str]) -> None:
    assert weights_digest([file]) != weights_digest([other(file, **changes)])


def test_order_and_place_on_this_machine_do_not_matter(file: WeightFile, tmp_path: Path) -> None:
    second = other(file, target="z.bin")
    moved = WeightFile(file.target, file.sha256, tmp_path / "elsewhere", file.size)

    assert weights_digest([file, second]) == weights_digest([second, moved])


def test_the_image_is_named_by_its_content(file: WeightFile) -> None:
    assert weights_tag([file]) == f"servekit-weights:{weights_digest([file])[:12]}"


def test_files_are_linked_to_their_targets(file: WeightFile, context: Path) -> None:
    stage_weights([file], context)

    assert (context / "files" / "models" / "model.bin").samefile(file.path)
    assert (context / "Dockerfile").read_text() == "FROM scratch\nCOPY files/ /\n"


def test_a_file_that_only_its_owner_may_read_is_copied_for_everybody(file: WeightFile, context: Path) -> None:
    file.path.chmod(0o600)

    stage_weights([file], context)

    staged = context / "files" / file.target
    assert staged.read_bytes() == b"weights"
    assert staged.stat().st_mode & 0o777 == 0o644
    assert file.path.stat().st_mode & 0o777 == 0o600
