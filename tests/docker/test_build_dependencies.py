"""Dependencies from all the places that a spec can name, really installed."""

import base64
import hashlib
import subprocess
import zipfile
from collections.abc import Generator
from pathlib import Path

import pytest
from containers import read_output
from image_building import SECONDS, Builder
from model_images import MakeModelImage

from servekit_cli.engine import Engine
from servekit_cli.environment.uv import run_uv
from tests.docker.conftest import PYTHON_IMAGE, MakeImage

PYPROJECT = """\
[build-system]
requires = ["setuptools>=70"]
build-backend = "setuptools.build_meta"
[project]
name = "{name}"
version = "1.0"
requires-python = ">=3.11"
"""
C_SOURCE = """\
#include <Python.h>
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "compiled", NULL, -1, NULL};
PyMODINIT_FUNC PyInit_compiled(void) { return PyModule_Create(&definition); }
"""


@pytest.fixture(scope="module")
def builder(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Generator[Builder]:
    builder = Builder(engine, tmp_path_factory.mktemp("dependencies"))
    yield builder
    builder.close()


def write_folder(project: Path, name: str) -> None:
    """Write a package that is installed from its folder."""
    (project / name).mkdir()
    (project / name / "pyproject.toml").write_text(PYPROJECT.format(name=name))
    (project / name / f"{name}.py").write_text("PLACE = __file__\n")


def write_wheel(file: Path, name: str) -> None:
    """Write a wheel of one empty module."""
    info = f"{name}-1.0.dist-info"
    texts = {
        f"{name}.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(file, "w") as wheel:
        record = ""
        for path, text in texts.items():
            wheel.writestr(path, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record += f"{path},sha256={digest},{len(text)}\n"
        wheel.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")


def run(engine: Engine, image: str, code: str) -> str:
    """Run Python in an image, and return what it printed."""
    return read_output(engine, image, "python", "-c", code)


def write_requirements(builder: Builder) -> Path:
    project = builder.write(
        "import inhouse, folder, tabulate\n\ndef predict() -> str:\n    return ''\n",
        "build: {python_requirements: requirements.txt}\n",
        **{
            "requirements.txt": "-r more.txt\n-c pins.txt\n./inhouse-1.0-py3-none-any.whl\n-e ./folder\n",
            "more.txt": "tabulate\n",
            "pins.txt": "tabulate==0.9.0\n",
        },
    )
    write_wheel(project / "inhouse-1.0-py3-none-any.whl", "inhouse")
    write_folder(project, "folder")
    return project


LOOK = "import folder, tabulate; print(folder.PLACE, tabulate.__version__)"
INSTALLED = "/usr/local/lib/python3.12/site-packages/folder.py 0.9.0\n"


def test_requirements_include_others_and_name_wheels_and_folders_of_the_project(
    builder: Builder, engine: Engine
) -> None:
    image = builder.build(write_requirements(builder))

    assert run(engine, image, LOOK) == INSTALLED


def test_a_lock_holds_wheels_and_folders_of_the_project_as_well(builder: Builder, engine: Engine) -> None:
    project = write_requirements(builder)
    assert builder.run("lock", "--file", str(project)).returncode == 0
    (project / "pins.txt").write_text("tabulate==0.8.10\n")  # the lock counts

    image = builder.build(project)

    assert run(engine, image, LOOK) == INSTALLED


@pytest.mark.parametrize("is_locked", [False, True])
def test_a_pyproject_with_or_without_its_lock(builder: Builder, engine: Engine, *, is_locked: bool) -> None:
    project = builder.write("def predict() -> str:\n    return ''\n", "build: {python_project: model}\n")
    write_folder(project, "folder")
    (project / "model").mkdir()
    (project / "model/pyproject.toml").write_text(
        PYPROJECT.format(name="model")
        + 'dependencies = ["folder", "tabulate==0.9.0"]\n[tool.uv.sources]\nfolder = { path = "../folder" }\n'
    )
    if is_locked:
        run_uv("lock", "--quiet", "--project", project / "model")

    image = builder.build(project)

    assert run(engine, image, LOOK) == INSTALLED


def write_compiled_project(builder: Builder) -> Path:
    """Write a project with a package that has to be compiled."""
    project = builder.write(
        "def predict() -> str:\n    return ''\n",
        "build: {python_packages: [./compiled], build_packages: [gcc, libc6-dev]}\n",
    )
    (project / "compiled").mkdir()
    (project / "compiled/pyproject.toml").write_text(PYPROJECT.format(name="compiled"))
    (project / "compiled/setup.py").write_text(
        "from setuptools import Extension, setup\nsetup(ext_modules=[Extension('compiled', ['compiled.c'])])\n"
    )
    (project / "compiled/compiled.c").write_text(C_SOURCE)
    return project


@pytest.mark.usefixtures("hand_build")
def test_what_was_compiled_is_found_when_only_times_of_files_changed(builder: Builder, tmp_path: Path) -> None:
    context = tmp_path / "context"
    done = builder.run("build", "--file", str(write_compiled_project(builder)), "--dry-run", str(context))
    command = done.stderr.partition("Build it with: ")[2].split()
    subprocess.run([*command[:2], "--tag", builder.new_name(), *command[2:]], check=True, timeout=SECONDS)

    for file in context.rglob("*"):
        file.touch()
    above, image, below = (context / "Dockerfile").read_text().partition("# The image.\nFROM runtime\n")
    (context / "Dockerfile").write_text(f"{above}{image}ENV RUN={context}\n{below}")  # it is all done again

    subprocess.run([*command[:2], "--tag", builder.new_name(), *command[2:]], check=True, timeout=SECONDS)


def test_compilers_build_what_has_no_wheel_and_are_not_left(builder: Builder, engine: Engine) -> None:
    image = builder.build(write_compiled_project(builder))

    look = "import compiled, shutil; print(compiled.__name__, shutil.which('gcc'), shutil.which('strip'))"
    assert run(engine, image, look) == "compiled None None\n"


def test_a_base_image_of_the_users_own_keeps_its_python(
    builder: Builder, engine: Engine, make_image: MakeImage, image_name: str
) -> None:
    base = make_image(
        f"FROM {PYTHON_IMAGE}\nRUN python -m venv /opt/own && useradd --uid 1234 me\n"
        'ENV PATH=/opt/own/bin:$PATH\nUSER me\nENTRYPOINT ["/nowhere"]\n'
    )
    engine.client.images.get(base).tag(image_name)
    project = builder.write(
        "def predict() -> str:\n    return ''\n",
        f'build: {{base_image: "{image_name}", python_packages: [tabulate==0.9.0]}}\n',
    )

    image = builder.build(project)

    assert run(engine, image, "import tabulate; print(tabulate.__file__)").startswith("/opt/own/lib/")
    with builder.start(image) as container:
        container.wait_until_ready()
        assert container.run("id", "-u") == "10001\n"


def test_a_base_image_with_another_python_is_told(
    builder: Builder, engine: Engine, make_image: MakeImage, image_name: str
) -> None:
    engine.client.images.get(make_image(f"FROM {PYTHON_IMAGE}\n")).tag(image_name)
    project = builder.write(
        "def predict() -> str:\n    return ''\n", f'build: {{base_image: "{image_name}", python_version: "3.13"}}\n'
    )

    done = builder.fail(project)

    assert "build.base_image has to bring Python 3.13 as `python`, and has 3.12" in done.stderr


def test_a_dockerfile_of_the_users_own_is_built_with_the_same_context(
    builder: Builder, model_image: MakeModelImage, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("secret")
    # On an image that has what servekit needs, so that nothing but servekit itself is to be installed.
    dockerfile = f"""\
FROM {model_image.runtime}
USER root
RUN --mount=type=secret,id=token,required=true --mount=type=bind,source=.servekit,target=/run/servekit \\
    pip install --no-cache-dir --force-reinstall --no-deps /run/servekit/servekit-*.whl
COPY weights/ /app/
COPY app/ /app/
WORKDIR /app
CMD ["python", "-m", "servekit.server"]
"""
    project = builder.write(
        "from pathlib import Path\n\ndef predict() -> str:\n    return Path('model.txt').read_text()\n",
        "build: {dockerfile: Own.Dockerfile}\nweights: [model.txt]\n",
        **{"Own.Dockerfile": dockerfile, "model.txt": "from the weights"},
    )

    image = builder.build(project, "--secret", f"id=token,src={tmp_path / 'token'}")

    with builder.start(image) as container:
        container.wait_until_ready()
        assert b"from the weights" in container.predict()
