"""`servekit build`, as a user runs it, on a real engine: what the image is and does."""

import io
import json
import signal
import subprocess
import tarfile
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from image_building import SECONDS, Builder, Container

from servekit_cli.engine import Engine

HELLO = """
    from collections.abc import Iterator

    def predict(name: str = "world", times: int = 1) -> Iterator[str]:
        for _ in range(times):
            yield f"Hello, {name}!"
"""
SLOW = """
    import time

    def predict(seconds: float = 0.0) -> str:
        print("begun", flush=True)
        time.sleep(seconds)
        return "done"
"""
HARDENED = {
    "read_only": True,
    "tmpfs": {"/tmp": "size=64m"},
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "user": "10001:10001",
}


@pytest.fixture(scope="module")
def builder(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Generator[Builder]:
    """Builds images that are removed after the module's tests."""
    builder = Builder(engine, tmp_path_factory.mktemp("builds"))
    yield builder
    builder.close()


@pytest.fixture(scope="module")
def hello(builder: Builder) -> str:
    """The image of a small project, in a repository of its own."""
    project = builder.write(HELLO, "build:\n  python_version: '3.12'\n  environment: {GREETING: 'a \"b\" $HOME'}\n")
    subprocess.run(["git", "init", "--quiet"], cwd=project, check=True)
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run(["git", "add", "."], cwd=project, check=True)
    subprocess.run(["git", *identity, "commit", "--quiet", "-m", "one"], cwd=project, check=True)
    subprocess.run(["git", "tag", "v1.2"], cwd=project, check=True)
    remote = ["git", "remote", "add", "origin", "https://user:hunter2@git.example.com/team/hello.git"]
    subprocess.run(remote, cwd=project, check=True)
    return builder.build(project)


@pytest.fixture(scope="module")
def running(builder: Builder, hello: str) -> Generator[Container]:
    """A container of it that serves, for tests which leave it as it is."""
    with builder.start(hello) as container:
        container.wait_until_ready()
        yield container


def test_a_container_answers_predictions(running: Container) -> None:
    answer = json.loads(running.predict(name="Ada"))

    assert (answer["status"], answer["output"]) == ("succeeded", ["Hello, Ada!"])


def test_a_container_streams(running: Container) -> None:
    events = running.predict("text/event-stream", times=3).decode()

    assert events.count("event: output") == 3
    assert "event: completed" in events


def test_a_container_runs_without_rights_on_a_read_only_root(builder: Builder, hello: str) -> None:
    with builder.start(hello, **HARDENED) as container:
        container.wait_until_ready()

        assert container.run("id", "-u").strip() == "10001"
        assert json.loads(container.predict())["status"] == "succeeded"


def test_the_user_is_none_with_rights_by_itself(engine: Engine, hello: str) -> None:
    assert engine.client.images.get(hello).attrs["Config"]["User"] == "10001:10001"


def test_a_container_listens_where_a_variable_says(builder: Builder, hello: str) -> None:
    with builder.start(hello, environment={"PORT": "8123"}) as container:
        ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8123/livez').status)"
        tries = f'for i in $(seq 500); do python -c "{ask}" 2>/dev/null && break; sleep 0.02; done'

        assert container.run("sh", "-c", tries).strip() == "200"


def test_variables_are_what_the_spec_says(running: Container) -> None:
    assert running.run("printenv", "GREETING") == 'a "b" $HOME\n'


def test_health_is_that_of_the_model(running: Container) -> None:
    assert running.run("python", "-m", "servekit.server.healthcheck") == ""
    assert running.docker.attrs["Config"]["Healthcheck"]["Test"] == [
        "CMD",
        "python",
        "-P",
        "-m",
        "servekit.server.healthcheck",
    ]


def test_logs_are_json(builder: Builder, hello: str) -> None:
    with builder.start(hello) as container:
        container.wait_until_ready()
        container.predict()

        while '"request"' not in container.logs():  # the line comes after the answer
            time.sleep(0.02)
        lines = [json.loads(line) for line in container.logs().splitlines()]

    assert [line["path"] for line in lines if line["event"] == "request"] == ["/predictions"]


def test_no_bytecode_is_written_at_start_and_none_is_missing(running: Container) -> None:
    running.predict()

    changes: list[dict[str, Any]] = running.docker.diff() or []
    assert not [change for change in changes if change["Path"].endswith(".pyc")]
    missing = """
import importlib.util, pathlib, sys
import servekit.server.rest, servekit.server.run, servekit.server.web
modules = [module for module in list(sys.modules.values()) if getattr(module, "__spec__", None)]
files = [str(module.__file__) for module in modules if module.__spec__.has_location]
sources = [file for file in files if file.endswith(".py")]
print([file for file in sources if not pathlib.Path(importlib.util.cache_from_source(file)).exists()])
"""
    assert running.run("python", "-c", missing).strip() == "[]"


def test_sigterm_lets_running_predictions_finish(builder: Builder) -> None:
    image = builder.build(builder.write(SLOW))
    with builder.start(image) as container:
        container.wait_until_ready()
        answers: list[bytes] = []
        asking = threading.Thread(target=lambda: answers.append(container.predict(seconds=2.0)))
        asking.start()
        while b"processing" not in container.get("/predictions")[1]:
            time.sleep(0.02)

        container.docker.kill(signal.SIGTERM)
        code = container.docker.wait(timeout=SECONDS)["StatusCode"]
        asking.join()

    assert (code, json.loads(answers[0])["output"]) == (0, "done")


def test_labels_tell_what_is_inside(builder: Builder, hello: str) -> None:
    labels = builder.labels(hello)

    schema = json.loads(labels["dev.servekit.schema"])
    assert set(schema["input"]["properties"]) == {"name", "times"}
    assert schema["output"]["type"] == "array"
    assert json.loads(labels["dev.servekit.spec"])["predictor"] == "predict.py:predict"
    assert "fastapi" in {package["name"] for package in json.loads(labels["dev.servekit.packages"])}
    assert labels["org.opencontainers.image.version"] == "v1.2"
    assert len(labels["org.opencontainers.image.revision"]) == 40
    assert labels["org.opencontainers.image.source"] == "https://git.example.com/team/hello.git"


def test_only_the_runtime_of_servekit_is_inside(builder: Builder, hello: str) -> None:
    names = {package["name"].lower() for package in json.loads(builder.labels(hello)["dev.servekit.packages"])}

    assert not names & {"docker", "typer", "rich", "jinja2", "uv", "httpx", "watchfiles"}


def test_no_build_tool_and_no_cache_is_left(running: Container) -> None:
    find = (
        "ls /root/.cache /var/cache/uv /var/lib/apt/lists /var/cache/apt/archives 2>/dev/null; command -v uv strip gcc"
    )
    found = running.docker.exec_run(["sh", "-c", find], user="root")[1].decode().split()

    assert [name for name in found if not name.endswith(":") and name not in {"lock", "partial"}] == []


def test_the_image_is_small(engine: Engine, hello: str) -> None:
    size = engine.client.images.get(hello).attrs["Size"] - engine.client.images.get("python:3.12-slim").attrs["Size"]

    assert size < 47_000_000  # 46 when batches, batch jobs and settings had come


def test_nothing_changed_gives_the_same_image(builder: Builder, engine: Engine) -> None:
    project, name = builder.write(HELLO), builder.new_name()
    builder.build(project, name=name)
    first = engine.client.images.get(name).id

    builder.build(project, name=name)

    assert engine.client.images.get(name).id == first


def test_a_change_of_the_code_keeps_all_layers_below_it(builder: Builder) -> None:
    project = builder.write(HELLO)
    before = builder.layers(builder.build(project))
    (project / "predict.py").write_text((project / "predict.py").read_text().replace("Hello", "Bye"))

    image = builder.build(project)

    after = builder.layers(image)
    assert after != before
    # The code, and its bytecode; what stands behind them has no files.
    assert after[:-3] == before[:-3]
    with builder.start(image) as container:
        container.wait_until_ready()
        assert json.loads(container.predict())["output"] == ["Bye, world!"]


def test_weights_keep_their_layer_when_the_code_changes(builder: Builder) -> None:
    code = """
        from pathlib import Path

        def predict() -> int:
            return (Path(__file__).parent / "models/model.bin").stat().st_size
    """
    project = builder.write(code, "weights: [models]\n")
    (project / "models").mkdir()
    (project / "models/model.bin").write_bytes(bytes(3_000_000))
    first = builder.build(project)
    with (project / "predict.py").open("a") as file:
        file.write("# another line\n")

    second = builder.build(project)

    shared = set(builder.layers(first)) & set(builder.layers(second))
    assert _layer_with(builder, second, "app/models/model.bin") in shared
    with builder.start(second) as container:
        container.wait_until_ready()
        assert json.loads(container.predict())["output"] == 3_000_000


def test_a_huge_ignored_file_costs_nothing(builder: Builder) -> None:
    project = builder.write(HELLO, **{".dockerignore": "data\n"})
    (project / "data").mkdir()
    with (project / "data/huge.bin").open("wb") as file:
        file.truncate(2 << 30)  # two gigabytes of nothing; to copy or send them would take long all the same

    image = builder.build(project)

    with builder.start(image, "sh", "-c", "sleep 60") as container:
        assert container.run("ls", "/app").split() == ["__pycache__", "predict.py", "servekit.yaml"]


def test_secrets_are_in_no_layer_and_in_no_history(builder: Builder, tmp_path: Path) -> None:
    token = "s3cret-" + "b7f1" * 8
    (tmp_path / "token").write_text(token)
    code = "def predict() -> str:\n    return open('/app-token-length').read()\n"
    spec = "build:\n  run: ['wc -c < /run/secrets/token > /app-token-length']\n"

    image = builder.build(builder.write(code, spec), "--secret", f"id=token,src={tmp_path / 'token'}")

    archive = tmp_path / "image.tar"
    with archive.open("wb") as file:
        subprocess.run(["docker", "save", image], stdout=file, check=True, timeout=SECONDS)
    assert token.encode() not in archive.read_bytes()
    assert (
        token
        not in subprocess.run(
            ["docker", "history", "--no-trunc", image], capture_output=True, text=True, check=True
        ).stdout
    )
    with builder.start(image) as container:
        container.wait_until_ready()
        assert json.loads(container.predict())["output"].strip() == str(len(token))


def test_without_a_docker_client_the_engine_builds_by_itself(builder: Builder, tmp_path: Path) -> None:
    image = builder.build(builder.write(HELLO), path=str(tmp_path))

    with builder.start(image) as container:
        container.wait_until_ready()
        assert json.loads(container.predict())["status"] == "succeeded"


def test_a_file_of_the_project_does_not_hide_the_standard_library_from_the_server(builder: Builder) -> None:
    image = builder.build(builder.write(HELLO, **{"queue.py": "raise RuntimeError", "types.py": "raise RuntimeError"}))

    with builder.start(image) as container:
        container.wait_until_ready()
        assert json.loads(container.predict())["status"] == "succeeded"


def test_packages_of_the_spec_are_installed(builder: Builder) -> None:
    code = "import tabulate\n\ndef predict() -> str:\n    return tabulate.__version__\n"
    image = builder.build(builder.write(code, "build: {python_packages: [tabulate==0.9.0]}\n"))

    with builder.start(image) as container:
        container.wait_until_ready()
        assert json.loads(container.predict())["output"] == "0.9.0"


def test_a_lock_decides_on_versions(builder: Builder) -> None:
    project = builder.write(
        "import tabulate\n\ndef predict() -> str:\n    return tabulate.__version__\n",
        "build: {python_packages: [tabulate<0.9]}\n",
    )
    assert builder.run("lock", "--file", str(project)).returncode == 0
    lock = (project / "servekit.lock").read_text()

    image = builder.build(project)

    packages = {
        each["name"].lower(): each["version"] for each in json.loads(builder.labels(image)["dev.servekit.packages"])
    }
    assert f"tabulate=={packages['tabulate']}" in lock
    assert f"fastapi=={packages['fastapi']}" in lock


def test_system_packages_are_installed(builder: Builder) -> None:
    code = "import shutil\n\ndef predict() -> bool:\n    return shutil.which('tree') is not None\n"
    image = builder.build(builder.write(code, "build: {system_packages: [tree]}\n"))

    with builder.start(image) as container:
        container.wait_until_ready()
        assert json.loads(container.predict())["output"] is True


def test_a_bill_of_materials_names_what_is_installed(builder: Builder, tmp_path: Path) -> None:
    builder.build(builder.write(HELLO), "--sbom", str(tmp_path / "sbom.json"))

    document = json.loads((tmp_path / "sbom.json").read_text())
    urls = {component.get("purl", "") for component in document["components"]}
    assert document["bomFormat"] == "CycloneDX"
    assert any(url.startswith("pkg:pypi/fastapi@") for url in urls)
    assert any(url.startswith("pkg:deb/debian/") for url in urls)


@pytest.mark.usefixtures("hand_build")
def test_a_dry_run_builds_by_hand(builder: Builder, tmp_path: Path) -> None:
    project = builder.write(HELLO)
    done = builder.run(
        "build", "--file", str(project), "--dry-run", str(tmp_path / "context"), DOCKER_HOST="tcp://127.0.0.1:1"
    )
    assert done.returncode == 0, done.stderr
    command = done.stderr.partition("Build it with: ")[2].split()
    name = builder.new_name()

    subprocess.run([*command[:2], "--tag", name, *command[2:]], check=True, capture_output=True, timeout=300)

    with builder.start(name) as container:
        container.wait_until_ready()
        assert json.loads(container.predict())["status"] == "succeeded"


def test_an_image_is_pushed_and_runs_where_it_is_pulled(builder: Builder, hello: str, registry: str) -> None:
    name = builder.rename(hello, f"{registry}/team/hello")

    pushed = builder.run("push", name)
    builder.remove(name)
    done = builder.run("predict", name, "-i", "name=Ada")

    assert pushed.stdout.startswith(f"{name}@sha256:"), pushed.stderr
    assert (done.returncode, done.stdout) == (0, '"Hello, Ada!"\n'), done.stderr


def test_a_command_runs_in_the_environment_of_the_model(builder: Builder, hello: str) -> None:
    done = builder.run("run", hello, "python", "-c", "import fastapi, sys; print(sys.prefix); sys.exit(3)")

    assert (done.returncode, done.stdout) == (3, "/usr/local\n"), done.stderr


def test_quiet_prints_the_id_alone(builder: Builder, engine: Engine) -> None:
    name = builder.new_name()

    project = builder.write(HELLO, "weights: [model.bin]\n", **{"model.bin": "weights of the quiet test"})
    done = builder.run("build", "--file", str(project), "--tag", name, "--quiet")

    assert done.stderr == ""
    assert done.stdout.strip() == engine.client.images.get(name).id


def _layer_with(builder: Builder, image: str, path: str) -> str:
    """Return the digest of the layer that holds a file."""
    saved = subprocess.run(["docker", "save", image], capture_output=True, check=True, timeout=SECONDS).stdout
    with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
        [manifest] = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type] # it is a file
        digests = builder.layers(image)
        for digest, name in zip(digests, manifest["Layers"], strict=True):
            with tarfile.open(fileobj=archive.extractfile(name)) as layer:
                if path in layer.getnames():
                    return digest
    raise AssertionError(f"no layer has {path}")
