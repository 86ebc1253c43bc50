"""However `servekit predict IMAGE` ends, its container ends with it. That none is left is checked after each test."""

import random
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest
from engine_proxy import EngineProxy
from model_images import SECONDS, SERVEKIT, Command, MakeModelImage
from serving import wait_until

from servekit_cli.container.ownership import OWNER, sweep
from servekit_cli.engine import Engine

_STRETCHES: Final = 12


@pytest.fixture(scope="module")
def sleeper(model_image: MakeModelImage) -> str:
    """An image whose setup and predict take as long as its inputs and variables say."""
    return model_image(
        """
        import os, time
        from servekit import ConcatenateIterator

        def eat() -> None:
            rope = []
            while True:
                rope.append(b"x" * 10_000_000)

        class Predictor:
            def setup(self) -> None:
                print("loading")
                match os.environ.get("SETUP"):
                    case "sleep": time.sleep(600)
                    case "raise": raise RuntimeError("no such weights")
                    case "import": import nowhere_to_be_found
                    case "eat": eat()
                    case "die":
                        time.sleep(0.5)  # what was printed is on its way
                        os.kill(os.getppid(), 9)

            def predict(self, do: str = "sleep") -> ConcatenateIterator[str]:
                try:
                    yield "begun"
                    match do:
                        case "sleep":
                            while True:
                                time.sleep(0.01)
                        case "talk":
                            while True:
                                yield "on and on"
                        case "eat": eat()
                        case "crash": os._exit(3)
                        case "kill": os.kill(os.getppid(), 9)
                finally:
                    print("cleaned up")
        """,
        spec="serve: {cancel_grace: 2s, shutdown_grace: 2s}\n",
    )


def containers_of(engine: Engine, image: str) -> list[str]:
    """List what there is, running or not; one that goes meanwhile is no error here."""
    found = engine.client.containers.list(all=True, ignore_removed=True, filters={"ancestor": image})
    return [str(container.name) for container in found]


def test_ctrl_c_in_setup(sleeper: str) -> None:
    with Command("predict", sleeper, "-e", "SETUP=sleep") as command:
        command.wait_for("loading")
        command.send(signal.SIGINT)

        assert command.wait() == 130
    assert command.stderr.endswith("Interrupted.\n")


def test_ctrl_c_in_a_prediction_lets_it_clean_up(sleeper: str) -> None:
    with Command("predict", sleeper, "-e", "SERVEKIT_CANCEL_GRACE=30") as command:  # enough for a busy machine
        command.wait_for("begun", "stdout")
        command.send(signal.SIGINT)

        assert command.wait() == 130
    assert "cleaned up" in command.stderr
    assert command.stderr.endswith("Interrupted.\n")


def test_sigterm_in_a_prediction(sleeper: str) -> None:
    with Command("predict", sleeper) as command:
        command.wait_for("begun", "stdout")
        command.send(signal.SIGTERM)

        assert command.wait() == 143


def test_a_second_ctrl_c_does_not_wait_for_the_container(engine: Engine, sleeper: str) -> None:
    with Command("predict", sleeper) as command:
        command.wait_for("begun", "stdout")
        [name] = containers_of(engine, sleeper)
        engine.client.api.pause(name)  # so that nothing in it ends in order
        command.send(signal.SIGINT)
        time.sleep(0.2)  # two signals at once are one
        command.send(signal.SIGINT)

        assert command.wait() == 130


def test_sigkill_of_the_command(engine: Engine, sleeper: str) -> None:
    with Command("predict", sleeper) as command:
        command.wait_for("begun", "stdout")
        command.send(signal.SIGKILL)
        command.wait()

        wait_until(lambda: not containers_of(engine, sleeper))


def test_sigkill_of_the_command_in_setup(engine: Engine, sleeper: str) -> None:
    with Command("predict", sleeper, "-e", "SETUP=sleep") as command:
        command.wait_for("loading")
        command.send(signal.SIGKILL)
        command.wait()

        wait_until(lambda: not containers_of(engine, sleeper))


def test_a_container_that_was_never_started_goes_with_the_next_sweep(engine: Engine, sleeper: str) -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    host = subprocess.check_output(["hostname"], text=True).strip()
    mine = engine.client.containers.create(sleeper, labels={OWNER: f"{gone.pid}.1@{host}"})
    theirs = engine.client.containers.create(sleeper, labels={OWNER: f"{gone.pid}.1@another-host"})

    removed = sweep(engine)

    # A build of another test may sweep as well, and be faster.
    wait_until(lambda: mine.name not in containers_of(engine, sleeper))
    left = containers_of(engine, sleeper)
    theirs.remove()
    assert theirs.name in left
    assert theirs.name not in removed


def test_a_setup_that_fails_says_why(sleeper: str) -> None:
    done = predict(sleeper, "-e", "SETUP=raise")

    assert done.returncode == 5
    assert "RuntimeError: no such weights" in done.stderr
    assert "in setup" in done.stderr


def test_a_package_that_is_missing_gets_a_hint(sleeper: str) -> None:
    done = predict(sleeper, "-e", "SETUP=import")

    assert done.returncode == 5
    assert "A missing package belongs under build in the spec" in done.stderr


def test_a_setup_that_needs_too_much_memory_is_told(sleeper: str) -> None:
    done = predict(sleeper, "-e", "SETUP=eat", "--memory", "200m")

    assert done.returncode in (5, 13)
    assert "it may use 200 MiB: give it more with --memory" in done.stderr


def test_a_prediction_that_needs_too_much_memory_is_told(sleeper: str) -> None:
    done = predict(sleeper, "-i", "do=eat", "--memory", "200m")

    assert done.returncode in (8, 13)
    assert "it may use 200 MiB: give it more with --memory" in done.stderr


def test_a_worker_that_dies_is_told(sleeper: str) -> None:
    done = predict(sleeper, "-i", "do=crash")

    assert done.returncode == 8
    assert "exited with code 3" in done.stderr


def test_a_server_that_dies_in_setup_is_told(sleeper: str) -> None:
    done = predict(sleeper, "-e", "SETUP=die")

    assert done.returncode == 13
    assert "exit code 137, SIGKILL" in done.stderr
    assert "during setup" in done.stderr
    assert "The last that it said:\nloading" in done.stderr


def test_a_container_that_is_killed_in_a_prediction_is_told(engine: Engine, sleeper: str) -> None:
    with Command("predict", sleeper) as command:
        command.wait_for("begun", "stdout")
        engine.client.api.kill(containers_of(engine, sleeper)[0])

        assert command.wait() == 13
    assert "was killed (exit code 137, SIGKILL)" in command.stderr
    assert "during the prediction" in command.stderr


def test_an_engine_that_goes_away_in_a_prediction_is_told(engine: Engine, sleeper: str, tmp_path: Path) -> None:
    assert engine.endpoint.socket is not None, "the tests' engine is on this machine"
    with EngineProxy(tmp_path, engine.endpoint.socket) as proxy:
        with Command("predict", sleeper, DOCKER_HOST=f"unix://{proxy.path}") as command:
            command.wait_for("begun", "stdout")
            proxy.cut()

            assert command.wait() == 10
        wait_until(lambda: not containers_of(engine, sleeper))
    assert "The engine went away during the prediction" in command.stderr
    assert "may still be there" in command.stderr


def test_an_image_whose_server_does_not_start_shows_its_last_words(model_image: MakeModelImage) -> None:
    image = model_image("class Predictor:\n    def predict(self) -> str: return ''\n")

    done = predict(image, "-v", "/dev/null:/app/servekit.yaml:ro")

    assert done.returncode == 13
    assert "ended with exit code 3" in done.stderr


def test_a_reader_that_has_enough_ends_the_prediction(sleeper: str) -> None:
    with subprocess.Popen([SERVEKIT, "predict", sleeper, "-i", "do=talk"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(5) == b"begun"
        process.stdout.close()

        assert process.wait(SECONDS) == 141


def test_ctrl_c_at_a_random_moment_of_each_stretch(engine: Engine, sleeper: str, tmp_path: Path) -> None:
    # From its first word to the engine, when it surely listens, till after its prediction has begun.
    chance, stretch = random.Random(20), 2.4 / _STRETCHES
    moments = [(number + chance.random()) * stretch for number in range(_STRETCHES)]
    assert engine.endpoint.socket is not None, "the tests' engine is on this machine"
    socket = engine.endpoint.socket

    def interrupt(number: int) -> tuple[int, list[str]]:
        folder = tmp_path / str(number)
        folder.mkdir()
        with (
            EngineProxy(folder, socket) as proxy,
            Command("predict", sleeper, DOCKER_HOST=proxy.host) as command,
        ):
            assert proxy.asked.wait(SECONDS)
            time.sleep(moments[number])
            command.send(signal.SIGINT)
            return command.wait(), command.containers(engine)

    with ThreadPoolExecutor(2) as lanes:
        ends = list(lanes.map(interrupt, range(_STRETCHES)))

    assert ends == [(130, [])] * _STRETCHES


def predict(image: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [SERVEKIT, "predict", image, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
