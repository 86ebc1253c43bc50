"""Builds that cannot work: each ends with what happened and what to do, and leaves no image."""

import http.server
import signal
import socket
import threading
from collections.abc import Generator
from pathlib import Path

import pytest
from image_building import Builder
from model_images import Command
from serving import wait_until

from servekit_cli.engine import Engine

HELLO = "def predict(name: str = 'world') -> str:\n    return f'Hello, {name}!'\n"


@pytest.fixture(scope="module")
def builder(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Generator[Builder]:
    """Builds images; what came of it after all is removed after the module's tests."""
    builder = Builder(engine, tmp_path_factory.mktemp("builds"))
    yield builder
    builder.close()


def test_no_engine(builder: Builder) -> None:
    done = builder.fail(builder.write(HELLO), DOCKER_HOST="tcp://127.0.0.1:1")

    assert done.returncode == 10
    assert "DOCKER_HOST" in done.stderr


def test_no_permission_on_the_socket(builder: Builder, tmp_path: Path) -> None:
    # A socket that refuses everybody stands in for one that refuses this user: root is refused nothing.
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "docker.sock"))

        done = builder.fail(builder.write(HELLO), DOCKER_HOST=f"unix://{tmp_path}/docker.sock")

    assert done.returncode == 10
    assert f"{tmp_path}/docker.sock" in done.stderr


def test_a_misspelt_package(builder: Builder) -> None:
    done = builder.fail(builder.write(HELLO, "build: {python_packages: [nunpy-does-not-exist-zz]}\n"))

    assert done.returncode == 11
    assert "nunpy-does-not-exist-zz" in done.stderr
    assert "how it is spelled" in done.stderr


def test_a_version_that_does_not_exist(builder: Builder) -> None:
    done = builder.fail(builder.write(HELLO, "build: {python_packages: [tabulate==99.1]}\n"))

    assert done.returncode == 11
    assert "tabulate==99.1" in done.stderr


def test_requirements_that_conflict_are_told_in_the_words_of_the_resolver(builder: Builder) -> None:
    done = builder.fail(builder.write(HELLO, "build: {python_packages: ['fastapi==0.120.0', 'starlette==0.30.0']}\n"))

    assert done.returncode == 11
    assert "fastapi==0.120.0 depends on starlette" in " ".join(done.stderr.split())


def test_a_system_package_that_does_not_exist(builder: Builder) -> None:
    done = builder.fail(builder.write(HELLO, "build: {system_packages: [libdoesnotexist-zz]}\n"))

    assert done.returncode == 11
    assert "Unable to locate package libdoesnotexist-zz" in done.stderr
    assert "build.system_packages" in done.stderr


def test_a_python_that_does_not_exist(builder: Builder) -> None:
    done = builder.fail(builder.write(HELLO, "build: {python_version: '3.99'}\n"))

    assert done.returncode == 3
    assert "3.11 to 3.14" in done.stderr


def test_a_base_image_that_does_not_exist(builder: Builder) -> None:
    done = builder.fail(builder.write(HELLO, "build: {base_image: 'does-not-exist.invalid/python:9'}\n"))

    assert done.returncode == 11
    assert "does-not-exist.invalid/python:9" in done.stderr


def test_a_command_that_fails_shows_what_it_printed(builder: Builder) -> None:
    done = builder.fail(builder.write(HELLO, "build: {run: ['echo the last words; exit 7']}\n"))

    assert done.returncode == 11
    assert "exit code 7" in done.stderr
    assert "RUN echo the last words; exit 7" in " ".join(done.stderr.split())
    assert done.stderr.count("the last words") > 2  # as a command, as it is printed, and once more at the end


def test_weights_that_are_missing(builder: Builder) -> None:
    done = builder.fail(builder.write(HELLO, "weights: [models/model.bin]\n"))

    assert done.returncode == 14
    assert "models/model.bin" in done.stderr


def test_weights_with_another_hash(builder: Builder) -> None:
    spec = f"weights: [{{source: model.bin, target: model.bin, sha256: '{'0' * 64}'}}]\n"

    done = builder.fail(builder.write(HELLO, spec, **{"model.bin": "weights"}))

    assert done.returncode == 14
    assert "0" * 64 in done.stderr


@pytest.mark.parametrize("name", ["Upper/Case", "with space", "a:b:c", "-x"])
def test_a_name_that_is_none_is_refused_before_anything_is_built(builder: Builder, name: str) -> None:
    done = builder.run("build", "--file", str(builder.write(HELLO)), f"--tag={name}")

    assert done.returncode == 2
    assert "cannot be the name of an image" in done.stderr


def test_a_module_that_cannot_be_imported_fails_with_its_traceback(builder: Builder) -> None:
    done = builder.fail(builder.write("import tabulate_that_is_not_there\n" + HELLO))

    assert done.returncode == 5
    assert "No module named 'tabulate_that_is_not_there'" in done.stderr
    assert 'predict.py", line 1' in done.stderr


def test_a_class_that_is_not_there(builder: Builder) -> None:
    done = builder.fail(builder.write("def other() -> str:\n    return ''\n"))

    assert done.returncode == 4
    assert "predict" in done.stderr


def test_a_predictor_that_never_comes_to_an_end_of_its_import(builder: Builder) -> None:
    code = "import time\ntime.sleep(600)\n" + HELLO

    done = builder.fail(builder.write(code, "serve: {setup_timeout: 2s}\n"))

    assert done.returncode == 5
    assert "2 seconds" in done.stderr


SLOW_IMPORT = "import time\ntime.sleep(600)\n" + HELLO


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_while_the_image_is_asked_leaves_nothing(
    builder: Builder, engine: Engine, number: signal.Signals, code: int
) -> None:
    project, name = builder.write(SLOW_IMPORT), builder.new_name()

    with Command("build", "--file", str(project), "--tag", name) as command:
        wait_until(lambda: bool(command.containers(engine)))
        command.send(number)

        assert command.wait() == code
        assert not command.containers(engine)
    assert not engine.client.images.list(name)


def test_the_container_of_a_killed_build_goes_with_the_next_build(builder: Builder, engine: Engine) -> None:
    with Command("build", "--file", str(builder.write(SLOW_IMPORT))) as command:
        wait_until(lambda: bool(command.containers(engine)))
        command.process.kill()
        command.process.wait()

    builder.fail(builder.write("import does_not_exist\n" + HELLO))

    assert not command.containers(engine)


def test_a_secret_without_its_file(builder: Builder) -> None:
    done = builder.fail(builder.write(HELLO), "--secret", "id=token,src=/does/not/exist")

    assert done.returncode == 2
    assert "/does/not/exist" in done.stderr


def test_a_secret_without_the_docker_client(builder: Builder, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("x")

    done = builder.fail(builder.write(HELLO), "--secret", f"id=token,src={tmp_path / 'token'}", path=str(tmp_path))

    assert done.returncode == 2
    assert "buildx" in done.stderr


def test_a_registry_that_refuses(builder: Builder) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Forbidding) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            name = f"127.0.0.1:{server.server_port}/team/model"
            builder.build(builder.write(HELLO), name=name)
            done = builder.run("push", name)
            builder.remove(name)
        finally:
            server.shutdown()
            thread.join()

    assert done.returncode == 12
    assert "docker login" in done.stderr


class _Forbidding(http.server.BaseHTTPRequestHandler):
    """A registry that lets nobody in."""

    def _refuse(self) -> None:
        body = b'{"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}'
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="team"')
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = _refuse  # noqa: N815 - the base class's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""
