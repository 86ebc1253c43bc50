"""`servekit predict IMAGE`: a prediction in a container gives what it gives without one."""

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from engine_proxy import EngineProxy
from model_images import SECONDS, SERVEKIT, Command, MakeModelImage

from servekit_cli.engine import Engine


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("SERVEKIT_")]:
        monkeypatch.delenv(name)


def predict(image: str, *arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    command = [SERVEKIT, "predict", image, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS, **options)


@pytest.fixture(scope="module")
def greeter(model_image: MakeModelImage) -> str:
    return model_image("""
        import os, sys
        class Predictor:
            def setup(self) -> None:
                print("loading")

            def predict(self, name: str, times: int = 1, shout: bool = False) -> str:
                print("thinking", file=sys.stderr)
                if name == "nobody":
                    raise ValueError("there is nobody")
                if name == "variable":
                    return " / ".join(os.environ[name] for name in ("FLAG", "HERE", "FILE"))
                return " ".join([f"Hello, {name.upper() if shout else name}!"] * times)

            def teardown(self) -> None:
                print("leaving")
    """)


def test_the_output_alone_is_on_stdout(greeter: str) -> None:
    done = predict(greeter, "-i", "name=Ada", "-i", "times=2")

    assert (done.returncode, done.stdout) == (0, "Hello, Ada! Hello, Ada!\n"), done.stderr
    assert done.stderr.splitlines() == ["loading", "thinking", "leaving"]


def test_a_prediction_that_fails_ends_the_command_with_its_error(greeter: str) -> None:
    done = predict(greeter, "-i", "name=nobody")

    assert (done.returncode, done.stdout) == (1, "")
    assert "The prediction failed: ValueError: there is nobody" in done.stderr
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-i", "times=2"], 'missing required input "name" (give it as -i name=...)'),
        (["-i", "name=Ada", "-i", "times=many"], 'invalid input "times": expected integer, got string "many"'),
        (["-i", "nmae=Ada", "-i", "name=x"], 'did you mean "name"?'),
    ],
)
def test_an_input_is_checked_before_a_container_is_made(greeter: str, arguments: list[str], message: str) -> None:
    done = predict(greeter, *arguments)

    assert done.returncode == 2
    assert message in done.stderr
    assert "loading" not in done.stderr


def test_an_input_that_only_the_model_can_refuse_is_told_as_such(model_image: MakeModelImage) -> None:
    image = model_image("""
        from pydantic import BaseModel, field_validator

        class Point(BaseModel):
            x: int

            @field_validator("x")
            @classmethod
            def check(cls, value: int) -> int:
                if value % 2 == 0:
                    raise ValueError("must be odd")
                return value

        class Predictor:
            def predict(self, point: Point) -> int:
                return point.x
    """)

    done = predict(image, "-i", 'point={"x": 2}')

    assert done.returncode == 2
    assert done.stderr.endswith('Error: invalid input "point.x": must be odd\n')


def test_the_container_gets_variables(greeter: str, tmp_path: Path) -> None:
    (tmp_path / "variables").write_text("# greetings\n\nFLAG=from a file\nHERE=from a file\nFILE=from a file\n")

    flags = ["--env-file", "variables", "-e", "FLAG=from a flag", "-e", "HERE"]
    done = predict(greeter, "-i", "name=variable", *flags, env={**os.environ, "HERE": "from here"})

    assert done.stdout == "from a flag / from here / from a file\n", done.stderr


def test_text_is_printed_while_it_is_made(model_image: MakeModelImage, tmp_path: Path) -> None:
    image = model_image("""
        import pathlib, time
        from servekit import ConcatenateIterator

        class Predictor:
            def predict(self) -> ConcatenateIterator[str]:
                yield "one"
                while not pathlib.Path("/signals/go-on").exists():
                    time.sleep(0.01)
                yield " two\\u2028\\n"
    """)

    signals = tmp_path / "signals"
    signals.mkdir()
    with Command("predict", image, "-v", f"{signals}:/signals:ro") as command:
        command.wait_for("one", "stdout")
        (signals / "go-on").touch()

        assert command.wait() == 0, command.stderr
    assert command.stdout == "one two\u2028\n"


def test_items_are_one_json_a_line(model_image: MakeModelImage) -> None:
    image = model_image("""
        from collections.abc import AsyncIterator

        class Predictor:
            async def predict(self) -> AsyncIterator[dict[str, int]]:
                for number in range(3):
                    yield {"number": number}
    """)

    done = predict(image)

    assert done.stdout == '{"number":0}\n{"number":1}\n{"number":2}\n', done.stderr


@pytest.fixture(scope="module")
def copier(model_image: MakeModelImage) -> str:
    return model_image("""
        from servekit import Path

        class Predictor:
            def predict(self, files: list[Path], label: int | str = "none", note: str = "") -> list[Path]:
                copies = []
                for number, file in enumerate(files):
                    print("got", file.name, file.read_bytes()[:8], repr(label), repr(note))
                    copy = Path(f"/tmp/copy{number}.bin")
                    copy.write_bytes(file.read_bytes() + b"!")
                    copies.append(copy)
                return copies
    """)


def test_files_go_in_with_their_names_and_come_out(copier: str, tmp_path: Path) -> None:
    (tmp_path / "eins.txt").write_bytes(b"one")
    (tmp_path / "zwei ü.bin").write_bytes(bytes(range(256)) * 4000)

    done = predict(copier, "-i", "files=@eins.txt", "-i", "files=@zwei ü.bin", "-i", "note=null", "-o", "out.bin")

    assert done.returncode == 0, done.stderr
    assert "got eins.txt b'one' 'none' 'null'" in done.stderr
    assert "got zwei ü.bin" in done.stderr
    assert (tmp_path / "out.0.bin").read_bytes() == b"one!"
    assert (tmp_path / "out.1.bin").read_bytes() == bytes(range(256)) * 4000 + b"!"


def test_an_input_that_a_form_would_change_arrives_as_it_was(copier: str, tmp_path: Path) -> None:
    (tmp_path / "eins.txt").write_bytes(b"one")
    url = "data:text/plain;base64," + base64.b64encode(b"two").decode()

    done = predict(copier, "--json", json.dumps({"label": 7}), "-i", "files=@eins.txt", "-i", f"files={url}")

    assert "b'one' 7 ''" in done.stderr, done.stderr
    assert "b'two' 7 ''" in done.stderr


def test_a_file_larger_than_what_the_server_takes_goes_in(model_image: MakeModelImage, tmp_path: Path) -> None:
    image = model_image(
        """
        from servekit import Path

        class Predictor:
            def predict(self, file: Path) -> int:
                return file.stat().st_size
        """,
        spec="serve: {max_body: 1KB}\n",
    )
    (tmp_path / "large").write_bytes(bytes(1_000_000))

    done = predict(image, "-i", "file=@large")

    assert done.stdout == "1000000\n", done.stderr


def test_an_engine_elsewhere_is_reached_where_it_publishes(engine: Engine, greeter: str, tmp_path: Path) -> None:
    assert engine.endpoint.socket is not None, "the tests' engine is on this machine"
    # Not the loopback address that a client takes for its own: as good as another machine.
    with EngineProxy(tmp_path, engine.endpoint.socket, "127.0.0.2") as proxy:
        done = predict(greeter, "-i", "name=Ada", env={**os.environ, "DOCKER_HOST": proxy.host})

    assert (done.returncode, done.stdout) == (0, "Hello, Ada!\n"), done.stderr


def test_only_the_processors_that_were_allowed_are_used(model_image: MakeModelImage) -> None:
    image = model_image("""
        from pathlib import Path

        class Predictor:
            def predict(self) -> list[str]:
                v2, v1 = Path("/sys/fs/cgroup/cpu.max"), Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
                return (v2 if v2.exists() else v1).read_text().split()
    """)

    done = predict(image, "--cpus", "0.5")

    assert json.loads(done.stdout)[0] == "50000", done.stderr
