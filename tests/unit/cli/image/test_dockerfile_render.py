"""What is rendered means to Docker and the shell what the plan says."""

import json
import subprocess

import pytest
from dockerfiles import make_facts, make_spec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from servekit_cli.image.downloads import quote_word
from servekit_cli.image.plan import plan_dockerfile
from servekit_cli.image.render import quote_value, render_dockerfile

VALUES = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))


def read_as_docker(written: str) -> str:
    """Read a value of ENV as BuildKit's frontend/dockerfile/shell/lex.go does, for what stands in double quotes."""
    if not written.startswith('"'):
        assert not set(written) & set("\"'\\$ \t#"), "plain values have nothing that means something"
        return written
    value, rest = "", written[1:]
    while not rest.startswith('"'):
        if rest.startswith("\\") and rest[1] in '"$\\':
            rest = rest[1:]
        else:
            assert rest[0] != "$", "that would be the value of a variable"
        value, rest = value + rest[0], rest[1:]
    assert rest == '"'
    return value


@given(VALUES)
@example('say "hi" to $USER, \\ and `that` #1')
@example("")
@example("ends with \\")
def test_a_value_is_to_docker_what_the_spec_says(value: str) -> None:
    assert read_as_docker(quote_value(value)) == value


WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@settings(max_examples=20)
@given(st.lists(WORDS, min_size=1, max_size=50))
@example(["uvloop>=0.22; sys_platform != 'win32'", 'a "b" $c `d` \\e !f', "", "\\", "a\nb"])
def test_a_word_is_to_the_shell_what_the_plan_says(words: list[str]) -> None:
    script = " ".join(map(quote_word, words))

    done = subprocess.run(["sh", "-c", f"printf '%s\\0' {script}"], capture_output=True, check=True)

    assert done.stdout.decode().split("\0")[:-1] == words


def render_commands(*commands: str) -> list[str]:
    text = render_dockerfile(plan_dockerfile(make_spec({"build": {"run": commands}}), make_facts()))
    _, _, part = text.partition("# From build.run.\n")
    return part.partition("\n\n")[0].splitlines()


@pytest.mark.parametrize("command", ["make -j2", "a && b || c", "echo \"$HOME\" 'x' # comment", "echo \\\\ x"])
def test_a_command_stands_as_it_is_written(command: str) -> None:
    assert render_commands(command) == [f"RUN {command}"]


@pytest.mark.parametrize(
    "command",
    ["first\nsecond", "cat <<EOF", "echo \\", "--mount=type=cache", '["exec"]', "# nothing", " -- x\n#y"],
)
def test_a_command_that_docker_would_read_otherwise_is_passed_to_the_shell_as_a_whole(command: str) -> None:
    (line,) = render_commands(command)

    assert json.loads(line.removeprefix("RUN ")) == ["/bin/sh", "-ec", command]


def test_a_script_stops_at_the_first_line_that_fails() -> None:
    (line,) = render_commands("false\necho reached")

    done = subprocess.run(json.loads(line.removeprefix("RUN ")), capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (1, "")
