"""The environment of a spec: made once, made again when it has to differ, and never left half made."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

SERVEKIT = str(Path(sysconfig.get_path("scripts")) / "servekit")
UV = str(Path(sysconfig.get_path("scripts")) / "uv")
SECONDS = 100

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose predictor tells which `tinylib` it got and which Python it runs in; with an empty cache."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "predict.py").write_text(
        "import sys, tinylib\n"
        "class Predictor:\n"
        "    def predict(self) -> str:\n"
        "        return f'{tinylib.VERSION} {sys.version_info.major}.{sys.version_info.minor}'\n"
    )
    monkeypatch.chdir(root)
    monkeypatch.setenv("SERVEKIT_CACHE_DIR", str(tmp_path / "cache"))
    return root


def make_wheel(folder: Path, version: str) -> Path:
    """Make a package, without asking an index or a build tool."""
    wheel = folder / f"tinylib-{version}-py3-none-any.whl"
    info = f"tinylib-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tinylib.py", f"VERSION = {version!r}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tinylib\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def write_spec(project: Path, build: str) -> None:
    (project / "servekit.yaml").write_text(f"predictor: predict.py:Predictor\nbuild: {{{build}}}\n")


def predict() -> "subprocess.CompletedProcess[str]":
    return subprocess.run([SERVEKIT, "predict"], capture_output=True, text=True, check=False, timeout=SECONDS)


def list_environments(project: Path) -> list[Path]:
    folder = project.parent / "cache" / "environments"
    return [path for path in folder.iterdir() if path.is_dir()] if folder.exists() else []


def version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def test_packages_are_installed_once(project: Path) -> None:
    wheel = make_wheel(project, "1.0")
    write_spec(project, f'python_packages: ["tinylib @ file://{wheel}"]')

    first = predict()
    [environment] = list_environments(project)
    made_at = environment.stat().st_ctime_ns
    second = predict()

    assert first.stdout == f"1.0 {version()}\n"
    assert first.stderr.splitlines() == [
        "Making the environment of the predictor (kept for the next time)...",
        "Made the environment of the predictor.",
    ]
    assert (second.stdout, second.stderr) == (first.stdout, "")
    assert [path.stat().st_ctime_ns for path in list_environments(project)] == [made_at]


def test_other_requirements_give_another_environment(project: Path) -> None:
    (project / "requirements.txt").write_text(f"tinylib @ file://{make_wheel(project, '1.0')}\n")
    write_spec(project, "python_requirements: requirements.txt")
    first = predict()

    (project / "requirements.txt").write_text(f"tinylib @ file://{make_wheel(project, '2.0')}\n")
    second = predict()

    assert (first.stdout, second.stdout) == (f"1.0 {version()}\n", f"2.0 {version()}\n")
    assert len(list_environments(project)) == 2


def test_an_environment_that_was_not_used_for_long_goes_when_one_is_made(project: Path) -> None:
    write_spec(project, f'python_packages: ["tinylib @ file://{make_wheel(project, "1.0")}"]')
    predict()
    [old] = list_environments(project)
    os.utime(old.with_name(f"{old.name}.used"), (0, 0))

    write_spec(project, f'python_packages: ["tinylib @ file://{make_wheel(project, "2.0")}"]')
    predict()

    [new] = list_environments(project)

    assert new != old


def test_what_concerns_no_dependency_gives_no_other_environment(project: Path) -> None:
    wheel = make_wheel(project, "1.0")
    write_spec(project, f'python_packages: ["tinylib @ file://{wheel}"]')
    predict()

    write_spec(project, f'python_packages: ["tinylib @ file://{wheel}"], system_packages: [ffmpeg], run: [ls]')
    done = predict()

    assert done.returncode == 0
    assert len(list_environments(project)) == 1


def test_a_locked_project_is_installed_from_its_lock(project: Path) -> None:
    wheel = make_wheel(project, "1.0")
    (project / "pyproject.toml").write_text(
        f'[project]\nname = "model"\nversion = "0"\nrequires-python = ">=3.11"\ndependencies = ["tinylib"]\n'
        f'[tool.uv.sources]\ntinylib = {{ path = "{wheel.name}" }}\n'
    )
    subprocess.run([UV, "lock", "--quiet"], cwd=project, check=True, timeout=SECONDS)
    write_spec(project, "python_project: .")

    done = predict()

    assert done.stdout == f"1.0 {version()}\n", done.stderr


def test_a_project_without_lock_is_installed_from_its_pyproject(project: Path) -> None:
    wheel = make_wheel(project, "1.0")
    (project / "pyproject.toml").write_text(
        f'[project]\nname = "model"\nversion = "0"\ndependencies = ["tinylib @ file://{wheel}"]\n'
    )
    write_spec(project, "python_project: .")

    done = predict()

    assert done.stdout == f"1.0 {version()}\n", done.stderr


def test_the_predictor_gets_the_servekit_that_runs_it(project: Path) -> None:
    wheel = make_wheel(project, "1.0")
    write_spec(project, f'python_packages: ["tinylib @ file://{wheel}"]')
    (project / "predict.py").write_text(
        "import os, servekit\n"
        "class Predictor:\n"
        "    def predict(self) -> str: return os.path.realpath(servekit.__file__)\n"
    )
    import servekit  # noqa: PLC0415 - where it is is what is asked

    assert predict().stdout == f"{os.path.realpath(servekit.__file__)}\n"


def test_another_python_is_used_where_the_spec_asks_for_it(project: Path) -> None:
    other = next(
        (each for each in ("3.12", "3.13", "3.14") if each != version() and find_python(each) is not None), None
    )
    if other is None:
        pytest.skip("there is only one Python here")
    write_spec(
        project, f'python_version: "{other}", python_packages: ["tinylib @ file://{make_wheel(project, "1.0")}"]'
    )

    done = predict()

    assert done.stdout == f"1.0 {other}\n", done.stderr


def find_python(wanted: str) -> Path | None:
    done = subprocess.run(
        [UV, "python", "find", "--no-python-downloads", "--system", wanted], capture_output=True, text=True, check=False
    )
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    return Path(done.stdout.strip()) if not done.returncode else next(iter(versions.glob(f"{wanted}.*")), None)


def test_what_cannot_be_installed_is_told_in_the_words_of_uv(project: Path) -> None:
    write_spec(project, 'python_packages: ["tinylib @ file:///nowhere/tinylib-1.0-py3-none-any.whl"]')

    done = predict()

    assert (done.returncode, done.stdout) == (6, "")
    assert "uv said" in done.stderr
    assert "/nowhere/tinylib-1.0-py3-none-any.whl" in done.stderr
    assert list_environments(project) == []


def test_packages_that_clash_with_the_worker_are_told(project: Path) -> None:
    write_spec(project, 'python_packages: ["pydantic<2"]')

    done = predict()

    assert done.returncode == 6
    assert "pydantic" in done.stderr


def test_a_missing_requirements_file_is_told(project: Path) -> None:
    write_spec(project, "python_requirements: requirments.txt")

    done = predict()

    assert done.returncode == 6
    assert "requirments.txt, which build.python_requirements names" in done.stderr


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_no_half_made_environment(project: Path, number: int, exit_code: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        write_spec(project, f'python_packages: ["tinylib @ http://127.0.0.1:{port}/tinylib-1.0-py3-none-any.whl"]')
        command = [SERVEKIT, "predict"]

        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
            connection, _ = silent.accept()  # uv asks for the package, and waits
            # Ctrl-C reaches uv as well; what a supervisor sends does not.
            (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
            _, stderr = process.communicate(timeout=SECONDS)
            connection.settimeout(SECONDS)
            while connection.recv(1000):  # until uv is gone as well
                pass
        connection.close()

    assert (process.returncode, list_environments(project)) == (exit_code, [])
    assert "Traceback" not in stderr


def test_two_at_once_make_one_environment(project: Path) -> None:
    write_spec(project, f'python_packages: ["tinylib @ file://{make_wheel(project, "1.0")}"]')
    command = [SERVEKIT, "predict"]

    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as second,
    ):
        outputs = [process.communicate(timeout=SECONDS)[0] for process in (first, second)]

    assert outputs == [f"1.0 {version()}\n"] * 2
    assert len(list_environments(project)) == 1


def test_an_environment_whose_python_went_away_is_made_again(project: Path) -> None:
    write_spec(project, f'python_packages: ["tinylib @ file://{make_wheel(project, "1.0")}"]')
    predict()
    [environment] = list_environments(project)
    shutil.rmtree(environment / "bin")

    done = predict()

    assert done.stdout == f"1.0 {version()}\n", done.stderr


def test_threads_of_the_server_cannot_use_another_environment(project: Path) -> None:
    write_spec(project, 'python_packages: ["tinylib"]')

    done = subprocess.run(
        [SERVEKIT, "serve", "--isolation", "thread"], capture_output=True, text=True, check=False, timeout=SECONDS
    )

    assert done.returncode == 2
    assert "Use isolation: process" in done.stderr


@pytest.mark.parametrize("command", ["predict", "serve", "schema"])
def test_a_cache_that_cannot_be_written_is_told(project: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    write_spec(project, 'python_packages: ["tinylib"]')
    monkeypatch.setenv("SERVEKIT_CACHE_DIR", "/dev/null")

    done = subprocess.run([SERVEKIT, command], capture_output=True, text=True, check=False, timeout=SECONDS)

    assert done.returncode == 6
    assert "Environments are kept in /dev/null/environments, and nothing can be made there" in done.stderr
    assert "Set SERVEKIT_CACHE_DIR" in done.stderr


def test_doctor_ends_its_list_without_an_environment(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_spec(project, 'python_packages: ["tinylib"], system_packages: [ffmpeg]')
    monkeypatch.setenv("SERVEKIT_CACHE_DIR", "/dev/null")

    done = subprocess.run([SERVEKIT, "doctor"], capture_output=True, text=True, check=False, timeout=SECONDS)

    assert (done.returncode, done.stderr) == (1, "")
    assert [line.split(":")[0].split() for line in done.stdout.splitlines() if not line.startswith(" ")] == [
        ["ok", "spec"],
        ["note", "build"],
        ["problem", "environment"],
        ["note", "predictor"],
    ]
