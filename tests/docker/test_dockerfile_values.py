"""What our Dockerfiles mean to the parsers of engines: values and commands as they stand in specs."""

import random
from typing import Any

from containers import read_output
from dockerfiles import make_facts, make_spec

from servekit_cli.engine import Engine
from servekit_cli.engine.features import Kind
from servekit_cli.image.plan import plan_dockerfile
from servekit_cli.image.render import render_dockerfile
from tests.docker.conftest import PYTHON_IMAGE, MakeImage

# Everything that means something to a Dockerfile, a shell or a person, in random order.
PIECES = [*"\"'\\$`#!~*?&|;<>(){}[]%^=,: \t", "${HOME}", "$HOME", "\\n", "\\\\", "<<EOF", "--", "é", "語", "a", "B2"]


def make_values() -> list[str]:
    chance = random.Random(20260101)
    values = ["".join(chance.choices(PIECES, k=chance.randrange(12))) for _ in range(150)]
    return [*values, "", " leading", "trailing ", "ends with \\", 'say "hi" to $USER', "it's"]


def render_step(comment: str, build: dict[str, Any]) -> str:
    """Write the part of a Dockerfile that comes from one field of the spec, and has this comment."""
    text = render_dockerfile(plan_dockerfile(make_spec({"build": build}), make_facts()))
    return text.partition(f"# {comment}\n")[2].partition("\n\n")[0] + "\n"


def test_a_variable_is_in_the_container_what_it_is_in_the_spec(
    engine: Engine, kind: Kind, make_image: MakeImage
) -> None:
    values = make_values()
    step = render_step(
        "Variables that the project runs with.",
        {"environment": {f"V{index}": value for index, value in enumerate(values)}},
    )

    image = engine.client.images.get(make_image(f"FROM {PYTHON_IMAGE}\n{step}", kind=kind))

    variables = dict(line.split("=", 1) for line in image.attrs["Config"]["Env"])
    assert [variables[f"V{index}"] for index in range(len(values))] == values


def test_a_command_does_in_the_build_what_it_says_in_the_spec(
    engine: Engine, kind: Kind, make_image: MakeImage
) -> None:
    commands = (
        "echo \"one\" 'two' $((1 + 2)) \\$HOME > /a",
        'cat > /b <<EOF\nfirst "line"\n\n# no comment\nlast \\\\ line\nEOF\n',
        "printf '%s' \"a \\\n b\" > /c",
        "echo '[1]' > /d  # a comment",
    )

    image = make_image(f"FROM {PYTHON_IMAGE}\n{render_step('From build.run.', {'run': commands})}", kind=kind)

    output = read_output(engine, image, "cat", "/a", "/b", "/c", "/d")
    assert output == 'one two 3 $HOME\nfirst "line"\n\n# no comment\nlast \\ line\na  b[1]\n'
