"""What the README and the pages tell a reader to do works as printed, and what they link to is there."""

import ast
import json
import os
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TUTORIAL = (ROOT / "docs/tutorial/first-model.md").read_text(encoding="utf-8")
SERVEKIT = str(Path(sysconfig.get_path("scripts")) / "servekit")
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md")
    for path in ROOT.glob(pattern)
    if "_build" not in path.parts
)


def extract_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def test_readme_example_prints_what_the_readme_says(tmp_path: Path) -> None:
    (tmp_path / "predict.py").write_text(extract_blocks(README, "python")[0], encoding="utf-8")
    (tmp_path / "servekit.yaml").write_text(extract_blocks(README, "yaml")[0], encoding="utf-8")
    command, printed = extract_blocks(README, "console")[0].splitlines()
    arguments = command.removeprefix("$ servekit ").split()

    done = subprocess.run([SERVEKIT, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{printed}\n"


@pytest.mark.examples
@pytest.mark.timeout(600)
def test_tutorial_predictor_answers_and_then_streams(tmp_path: Path) -> None:
    code, streaming = extract_blocks(TUTORIAL, "python")
    (tmp_path / "servekit.yaml").write_text(extract_blocks(TUTORIAL, "yaml")[0], encoding="utf-8")
    predictor = tmp_path / "predict.py"
    # The environment is kept, and what is imported from it need not be compiled at each start.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def predict(argument: str) -> "subprocess.CompletedProcess[str]":
        command = [SERVEKIT, "predict", "-i", argument]
        return subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)

    predictor.write_text(code, encoding="utf-8")
    answered, refused = predict("number=5"), predict("number=5000")
    head = code[: code.index("    def predict")]
    predictor.write_text(f"from collections.abc import Iterator\n{head}{streaming}", encoding="utf-8")
    streamed = predict("count=4")

    assert (answered.returncode, streamed.returncode) == (0, 0), answered.stderr + streamed.stderr
    assert json.loads(answered.stdout) == 5
    assert refused.returncode == 2
    assert [json.loads(line) for line in streamed.stdout.splitlines()] == [0, 1, 2, 3]


def test_readme_is_short() -> None:
    assert len(README.splitlines()) < 150


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]

    assert [link for link in links if link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_python_block_compiles(page: Path) -> None:
    for block in extract_blocks(page.read_text(encoding="utf-8"), "python"):
        # A method shown alone is indented as it stands in its class.
        source = f"class Shown:\n{block}" if block.startswith("    ") else block
        compile(source, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
