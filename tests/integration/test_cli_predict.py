"""`servekit predict` as a person or a script meets it: what it prints where, and how it ends."""

import json
import os
import pty
import re
import signal
import subprocess
import sysconfig
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest
from serving import wait_until

SERVEKIT = str(Path(sysconfig.get_path("scripts")) / "servekit")
SECONDS = 100

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a project from the code of its predict.py, and go there."""
    root = tmp_path / "project"
    root.mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(root)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))

    def write(code: str, spec: str = "") -> Path:
        (root / "predict.py").write_text(textwrap.dedent(code))
        (root / "servekit.yaml").write_text("predictor: predict.py:Predictor\n" + spec)
        return root

    return write


def predict(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    command = [SERVEKIT, "predict", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS, **options)


def start(*arguments: str) -> "subprocess.Popen[str]":
    command = [SERVEKIT, "predict", *arguments]
    # As a shell starts it: Python holds back what goes to a pipe, unless the command sees to it.
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)


def read_until(stream: IO[str] | None, end: str) -> str:
    """Read until a text has come, or the other side has closed."""
    assert stream is not None
    seen = ""
    while not seen.endswith(end) and (character := stream.read(1)):
        seen += character
    return seen


def test_the_output_alone_is_on_stdout(write: Write) -> None:
    write("""
        class Predictor:
            def setup(self) -> None:
                print("loading")

            def predict(self, name: str) -> str:
                print("thinking")
                return f"Hello, {name}!"

            def teardown(self) -> None:
                print("leaving")
    """)

    done = predict("-i", "name=Ada")

    assert (done.returncode, done.stdout) == (0, "Hello, Ada!\n")
    assert done.stderr.splitlines()[:2] == ["loading", "thinking"]


def test_text_is_printed_while_it_is_made(write: Write) -> None:
    root = write("""
        import pathlib, time
        from servekit import ConcatenateIterator

        class Predictor:
            def predict(self) -> ConcatenateIterator[str]:
                yield "one"
                for _ in range(2000):
                    if pathlib.Path("go-on").exists():
                        yield " two"
                        return
                    time.sleep(0.01)
    """)

    with start() as process:
        first = read_until(process.stdout, "one")
        (root / "go-on").touch()
        rest, _ = process.communicate(timeout=SECONDS)

    assert (first, rest, process.returncode) == ("one", " two\n", 0)


def test_items_are_one_json_a_line(write: Write) -> None:
    write("""
        from collections.abc import AsyncIterator

        class Predictor:
            async def predict(self) -> AsyncIterator[dict[str, int]]:
                for number in range(3):
                    yield {"number": number}
    """)

    done = predict()

    assert done.stdout == '{"number":0}\n{"number":1}\n{"number":2}\n', done.stderr


def test_an_object_is_laid_out_on_a_terminal(write: Write) -> None:
    write("""
        class Predictor:
            def predict(self) -> dict[str, int]:
                return {"a": 1}
    """)
    ours, theirs = pty.openpty()

    done = subprocess.run([SERVEKIT, "predict"], stdout=theirs, stderr=subprocess.PIPE, check=False, timeout=SECONDS)
    os.close(theirs)
    printed = os.read(ours, 1000).decode()
    os.close(ours)

    assert (done.returncode, printed) == (0, '{\r\n  "a": 1\r\n}\r\n')


def test_progress_is_for_terminals(write: Write) -> None:
    write("""
        class Predictor:
            def predict(self) -> int:
                return 1
    """)
    ours, theirs = pty.openpty()

    on_pipe = predict()
    on_terminal = subprocess.run(
        [SERVEKIT, "predict"],
        stdout=subprocess.PIPE,
        stderr=theirs,
        check=False,
        timeout=SECONDS,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)

    assert (on_pipe.stdout, on_pipe.stderr) == ("1\n", "")
    assert on_terminal.stdout == b"1\n"
    assert "Importing the predictor..." in shown


def test_a_file_travels_in_and_out(write: Write) -> None:
    root = write("""
        from servekit import Path

        class Predictor:
            def predict(self, source: Path) -> Path:
                target = Path(source.with_name("loud.txt").name)
                target.write_text(source.read_text().upper())
                return target
    """)
    (root / "quiet.txt").write_text("hello")

    done = predict("-i", "source=@quiet.txt", "-o", "answer.txt")

    assert (root / "answer.txt").read_text() == "HELLO"
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "Written output to: answer.txt\n")


def test_no_file_is_uploaded(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(
        """
        from servekit import Path, current_scope
        class Predictor:
            def predict(self) -> Path:
                target = current_scope().temp_dir / "out.txt"
                target.write_text("here")
                return Path(target)
        """
    )
    monkeypatch.setenv("SERVEKIT_UPLOAD_URL", "http://127.0.0.1:1")  # where nobody is

    done = predict("-o", str(root / "copy.txt"))

    assert done.returncode == 0, done.stderr
    assert (root / "copy.txt").read_text() == "here"


def test_the_input_comes_from_stdin(write: Write) -> None:
    write("""
        class Predictor:
            def predict(self, numbers: list[int], factor: int) -> list[int]:
                return [number * factor for number in numbers]
    """)

    done = predict("--json", "@-", "-i", "factor=2", input='{"numbers": [1, 2]}')

    assert done.stdout == "[2,4]\n", done.stderr


def test_variables_of_the_spec_are_there_for_the_predictor(write: Write) -> None:
    write(
        """
        import os

        class Predictor:
            def predict(self) -> str:
                return os.environ["GREETING"] + os.environ["OTHER"]
        """,
        'build:\n  environment:\n    GREETING: "1.0"\n    OTHER: spec\n',
    )

    done = predict(env={**os.environ, "OTHER": "shell"})

    assert done.stdout == "1.0shell\n", done.stderr


TUNED = """
    import servekit
    from servekit import settings

    class Tuning(servekit.Settings):
        temperature: float = 0.7
        style: str = "plain"

    class Predictor:
        def predict(self) -> str:
            return f"{settings.temperature} {settings.style}"
"""


def test_settings_come_from_the_spec_and_the_command_line(write: Write) -> None:
    write(TUNED, "settings: {temperature: 0.1, style: bold}\n")

    assert predict("--set", "temperature=0.2").stdout == "0.2 bold\n"


def test_a_setting_that_is_not_declared_is_told_with_the_one_that_was_meant(write: Write) -> None:
    write(TUNED)

    done = predict("--set", "temprature=0.2")

    assert done.returncode == 4
    assert 'Tuning has no setting temprature: unknown name; did you mean "temperature"?' in done.stderr


def test_an_input_is_checked_before_setup_is_run(write: Write) -> None:
    root = write("""
        import pathlib

        class Predictor:
            def setup(self) -> None:
                pathlib.Path("was-set-up").touch()

            def predict(self, number: int) -> int:
                return number
    """)

    done = predict("-i", "number=many")

    assert (done.returncode, done.stdout) == (2, "")
    assert 'invalid input "number": expected integer, got string "many"' in done.stderr
    assert not (root / "was-set-up").exists()


FAULTS = {
    "a missing input": ("class Predictor:\n    def predict(self, x: int) -> int: ...", 2, 'missing required input "x"'),
    "a missing class": ("class Predicto:\n    def predict(self) -> int: ...", 4, 'did you mean "Predicto"'),
    "a missing method": ("class Predictor:\n    def run(self) -> int: ...", 4, "has no predict method"),
    "an impossible type": (
        "import threading\nclass Predictor:\n    def predict(self, x: threading.Thread) -> int: ...",
        4,
        "parameter `x` is annotated threading.Thread",
    ),
    "an import error": ("import nothing_like_it", 5, 'predict.py", line 1, in <module>'),
    "a worker that is killed": (
        "import os\nclass Predictor:\n    def predict(self) -> int: os.kill(os.getpid(), 9)",
        8,
        "SIGKILL",
    ),
    "a missing package": ("import nothing_like_it", 5, "A missing package belongs under build in the spec"),
    "setup raising": (
        "class Predictor:\n    def setup(self): print('so far'); 1 / 0\n    def predict(self) -> int: ...",
        5,
        "ZeroDivisionError",
    ),
    "setup leaving": (
        "import sys\nclass Predictor:\n    def setup(self): sys.exit(3)\n    def predict(self) -> int: ...",
        5,
        r"the model called sys.exit\(3\)",
    ),
    "predict raising": (
        "class Predictor:\n    def predict(self) -> int:\n        raise ValueError('no good')",
        1,
        r'predict.py", line 3, in predict\n(.|\n)*Error: The prediction failed: ValueError: no good',
    ),
    "an output of the wrong type": ("class Predictor:\n    def predict(self) -> int: return 'x'", 1, "expected int"),
    "a worker that ends": (
        "import os\nclass Predictor:\n    def predict(self) -> int: os._exit(4)",
        8,
        "the worker process exited with code 4",
    ),
}


@pytest.mark.parametrize(("code", "exit_code", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_of_the_predictor_ends_with_its_exit_code(
    write: Write, code: str, exit_code: int, message: str
) -> None:
    write(code)

    done = predict()

    assert (done.returncode, done.stdout) == (exit_code, "")
    assert re.search(message, done.stderr), done.stderr
    assert "servekit_cli" not in done.stderr, "the traceback shown is the author's, not ours"


def test_setup_that_hangs_is_given_up(write: Write) -> None:
    write(
        """
        import time

        class Predictor:
            def setup(self) -> None:
                time.sleep(1000)

            def predict(self) -> int: ...
        """,
        "serve: {setup_timeout: 500ms}\n",
    )

    done = predict()

    assert done.returncode == 5
    assert "serve.setup_timeout" in done.stderr


def test_a_prediction_that_takes_too_long_fails(write: Write) -> None:
    write("""
        import time

        class Predictor:
            def predict(self) -> int:
                while True:
                    time.sleep(0.01)
    """)

    done = predict(env={**os.environ, "SERVEKIT_TIMEOUT": "300ms"})

    assert done.returncode == 1
    assert "serve.timeout" in done.stderr


def test_what_came_before_a_failure_stays(write: Write) -> None:
    write("""
        from servekit import ConcatenateIterator

        class Predictor:
            def predict(self) -> ConcatenateIterator[str]:
                yield "one"
                raise ValueError("no good")
    """)

    done = predict()

    assert (done.returncode, done.stdout) == (1, "one")


def test_a_missing_spec_says_how_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    done = predict()

    assert done.returncode == 3
    assert "servekit init" in done.stderr


def test_a_bad_variable_is_bad_use(write: Write) -> None:
    write("class Predictor:\n    def predict(self) -> int: ...")

    done = predict(env={**os.environ, "SERVEKIT_TIMEOUT": "soon"})

    assert done.returncode == 2
    assert 'SERVEKIT_TIMEOUT is "soon"; a duration is' in done.stderr


# Bounded, so that a test that fails leaves nothing behind that runs for ever.
WAITING = """
    import pathlib, time

    class Predictor:
        def predict(self) -> int:
            print("waiting", flush=True)
            try:
                for _ in range(2000):
                    time.sleep(0.01)
            finally:
                pathlib.Path("was-cleaned-up").touch()
                print("cleaned up")

        def teardown(self) -> None:
            pathlib.Path("was-torn-down").touch()
"""


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cancels_and_cleans_up(write: Write, number: int, exit_code: int) -> None:
    root = write(WAITING)

    with start() as process:
        read_until(process.stderr, "waiting\n")
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=SECONDS)

    assert (process.returncode, stdout) == (exit_code, "")
    assert "Traceback" not in stderr
    assert (root / "was-cleaned-up").exists()
    assert "cleaned up\n" in stderr
    assert (root / "was-torn-down").exists()
    assert list((root.parent / "temporary").iterdir()) == []


def test_a_second_interrupt_leaves_nothing_behind(write: Write) -> None:
    root = write("""
        import pathlib, time

        class Predictor:
            def predict(self) -> int:
                print("waiting", flush=True)
                for _ in range(2000):
                    time.sleep(0.01)

            def teardown(self) -> None:
                pathlib.Path("is-tearing-down").touch()
                time.sleep(20)
    """)

    with start() as process:
        read_until(process.stderr, "waiting\n")
        process.send_signal(signal.SIGINT)
        wait_until((root / "is-tearing-down").exists)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS)

    assert process.returncode == 130
    assert list((root.parent / "temporary").iterdir()) == []


def test_a_second_interrupt_ends_code_that_does_not_stop(write: Write) -> None:
    code = """
        import pathlib, threading, time
        from servekit import current_scope

        def watch(scope):
            while not scope.cancelled:
                time.sleep(0.01)
            pathlib.Path("is-to-stop").touch()

        class Predictor:
            def predict(self) -> int:
                threading.Thread(target=watch, args=[current_scope()], daemon=True).start()
                print("waiting", flush=True)
                time.sleep(600)
    """
    root = write(code, "serve: {cancel_grace: 10m}\n")

    with start() as process:
        read_until(process.stderr, "waiting\n")
        process.send_signal(signal.SIGINT)
        wait_until((root / "is-to-stop").exists)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS)

    assert process.returncode == 130
    assert list((root.parent / "temporary").iterdir()) == []


def test_a_full_disk_behind_stdout_is_told_plainly(write: Write) -> None:
    write("class Predictor:\n    def predict(self) -> int: return 1")

    for arguments in ([], ["-h"]):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [SERVEKIT, "predict", *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )

        assert (done.returncode, done.stderr) == (1, "Error: stdout cannot be written to: No space left on device.\n")


def test_an_output_that_cannot_be_written_ends_before_setup(write: Write) -> None:
    root = write("""
        import pathlib

        class Predictor:
            def setup(self) -> None:
                pathlib.Path("was-set-up").touch()

            def predict(self) -> str:
                return "x"
    """)

    done = predict("-o", ".")

    assert done.returncode == 2
    assert "-o names ., which is a folder" in done.stderr
    assert not (root / "was-set-up").exists()


def test_an_input_without_its_option_is_told_how_to_be_given(write: Write) -> None:
    write("class Predictor:\n    def predict(self, prompt: str) -> str: return prompt")

    done = predict("prompt=a lake")

    assert (done.returncode, done.stdout) == (2, "")
    assert "servekit predict -i 'prompt=a lake'" in done.stderr


def test_what_only_an_image_gets_is_said_once(write: Write) -> None:
    write(
        "class Predictor:\n    def predict(self) -> int: return 1",
        "build: {system_packages: [ffmpeg], run: [make]}\n",
    )

    done = predict()

    assert done.stdout == "1\n"
    assert done.stderr.count("Note: build.system_packages (ffmpeg) and build.run count for images only") == 1


def test_a_reader_that_goes_away_ends_it_quietly(write: Write) -> None:
    write("""
        from collections.abc import Iterator

        class Predictor:
            def predict(self) -> Iterator[str]:
                while True:
                    yield "x" * 1000
    """)

    with start() as process:
        assert process.stdout is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr is not None
        stderr = process.stderr.read()

    assert (process.wait(SECONDS), stderr) == (141, "")


def test_nothing_is_left_in_the_temporary_folder(write: Write) -> None:
    root = write("""
        from servekit import Path

        class Predictor:
            def predict(self, source: Path) -> int:
                return len(source.read_bytes())
    """)

    done = predict("-i", "source=data:,hello")

    assert done.stdout == "5\n"
    assert list((root.parent / "temporary").iterdir()) == []


def test_the_schema_is_printed_without_setup(write: Write) -> None:
    write("""
        class Predictor:
            def setup(self) -> None:
                raise SystemExit("not to be run")

            def predict(self, number: int) -> list[str]: ...
    """)
    command = [SERVEKIT, "schema"]

    both = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=SECONDS).stdout)
    only_input = json.loads(
        subprocess.run([*command, "--input"], capture_output=True, check=True, timeout=SECONDS).stdout
    )

    assert both["input"] == only_input
    assert only_input["properties"]["number"]["type"] == "integer"
    assert both["output"]["items"] == {"type": "string"}


def test_the_schema_of_the_spec_needs_no_project(tmp_path: Path) -> None:
    done = subprocess.run(
        [SERVEKIT, "schema", "--spec"], capture_output=True, check=True, cwd=tmp_path, timeout=SECONDS
    )

    assert json.loads(done.stdout)["title"] == "servekit.yaml"
