"""The specs whose Dockerfiles are kept as files, to be read and compared.

python tests/support/dockerfiles.py    writes the files anew
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from servekit.spec import Spec
from servekit.spec.cog.file import CogFile
from servekit.spec.cog.translate import translate
from servekit_cli.image.facts import BuildFacts
from servekit_cli.image.plan import plan_base, plan_dockerfile
from servekit_cli.image.render import render_dockerfile

FOLDER: Final = Path(__file__).parents[1] / "unit/cli/image/golden"

_FACTS: Final[Mapping[str, Any]] = {
    "servekit_version": "1.2.3",
    "runtime_requirements": ("fastapi>=0.120", "uvloop>=0.22; sys_platform != 'win32'"),
    "uv": "uv==0.9.0",
}
_REQUIREMENTS: Final[Mapping[str, Any]] = {"install_folder": "project", "installs": ("-r", "requirements.txt")}
_PACKAGES: Final[Mapping[str, Any]] = {"install_folder": "project"}

CASES: Final[Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]] = {
    "nothing": ({}, {}),
    "python_version": ({"build": {"python_version": "3.13"}}, {}),
    "requirements": ({"build": {"python_requirements": "requirements.txt"}}, _REQUIREMENTS),
    "packages": ({"build": {"python_packages": ["numpy>=2"]}}, _PACKAGES),
    "local_folder": ({"build": {"python_packages": ["./lib"]}}, {**_PACKAGES, "has_local_folders": True}),
    "project": (
        {"build": {"python_project": "model"}},
        {"install_folder": "project/model", "installs": ("-r", "pyproject.toml")},
    ),
    "lock": ({"build": {"python_packages": ["numpy"]}}, {**_PACKAGES, "has_lock": True, "requires_hashes": True}),
    "lock_without_hashes": (
        {"build": {"python_packages": ["./lib"]}},
        {**_PACKAGES, "has_lock": True, "has_local_folders": True},
    ),
    "system_packages": ({"build": {"system_packages": ["ffmpeg", "libgl1=1.6.0-1"]}}, {}),
    "build_packages": (
        {"build": {"python_packages": ["fasttext"], "build_packages": ["g++"], "system_packages": ["libgomp1"]}},
        {**_PACKAGES, "secrets": ("ca",)},
    ),
    "commands": (
        {
            "build": {
                "run": [
                    "python -m nltk.downloader punkt",
                    "set -x\ncurl -O https://example.org/a\n\ntar xf a\n",
                    "cat <<< 'a \"word\"' > /etc/motd",
                    "echo 'back\\slash' \\",
                ]
            }
        },
        {},
    ),
    "environment": (
        {"build": {"environment": {"HF_HOME": "/tmp/hf", "GREETING": 'say "hi" to $USER', "PATTERN": "\\d+ '#'"}}},
        {},
    ),
    "secrets": (
        {
            "build": {
                "python_packages": ["ours"],
                "index": "https://pypi.example.org/simple",
                "run": ["curl --netrc-file /run/secrets/netrc https://example.org"],
            }
        },
        {**_PACKAGES, "secrets": ("ca", "netrc", "token")},
    ),
    "gpu": ({"build": {"gpu": True, "python_packages": ["torch"]}}, _PACKAGES),
    "cuda": ({"build": {"gpu": True, "cuda": "12.6", "python_packages": ["deepspeed"]}}, _PACKAGES),
    "cuda_on_ubuntu_20": ({"build": {"gpu": True, "cuda": "11.3.1-cudnn8-devel-ubuntu20.04"}}, {}),
    "cuda_devel": ({"build": {"gpu": True, "cuda": "12.4.1-cudnn-devel", "python_version": "3.11"}}, {}),
    "base_image": ({"build": {"base_image": "pytorch/pytorch:2.9.1-cuda12.8-cudnn9-runtime"}}, {}),
    "servekit_base": (
        {"build": {"system_packages": ["ffmpeg"], "python_packages": ["numpy"]}},
        {**_PACKAGES, "base_image": "servekit-base:1.2.3-python3.12"},
    ),
    "weights_image": ({"weights": ["model.bin"]}, {"weights_image": "servekit-weights:0123456789ab"}),
    "weights_folder": ({"weights": ["model.bin"]}, {"has_weights_folder": True}),
    "development": ({}, {"servekit_wheel": "servekit-1.2.3-py3-none-any.whl"}),
    "engine_without_links": ({"weights": ["model.bin"]}, {"has_links": False, "weights_image": "w:1"}),
    "engine_without_secrets": ({"build": {"python_packages": ["numpy"]}}, {**_PACKAGES, "has_ca_file": True}),
    "classic_builder": (
        {"build": {"python_packages": ["numpy"], "system_packages": ["ffmpeg"]}},
        {
            **_PACKAGES,
            "has_mounts": False,
            "has_links": False,
            "has_ca_file": True,
            "servekit_wheel": "servekit-1.2.3-py3-none-any.whl",
        },
    ),
    "serve": ({"serve": {"port": 8080, "setup_timeout": "20m"}}, {}),
    "any_port": ({"serve": {"port": 0}}, {}),
}

COG_CASES: Final[Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]] = {
    "cog": ({"build": {"python_version": "3.13"}, "run": "run.py:Runner"}, {}),
    "cog_everything": (
        {
            "build": {
                "python_version": "3.12",
                "gpu": True,
                "cuda": "12.6",
                "python_requirements": "requirements.txt",
                "system_packages": ["ffmpeg"],
                "run": [
                    "curl -o /usr/local/bin/tool https://example.org/tool",
                    {
                        "command": "pip download ours",
                        "mounts": [{"type": "secret", "id": "pip", "target": "/etc/pip.conf"}],
                    },
                ],
                "pre_install": ["echo last"],
            },
            "run": "run.py:Runner",
            "environment": ["HF_HOME=/tmp/hf", "LOG_FORMAT=console"],
            "weights": [{"name": "base", "target": "/src/weights", "source": "models"}],
        },
        {**_REQUIREMENTS, "weights_image": "servekit-weights:0123456789ab"},
    ),
    "cog_lock": (
        {"build": {"python_version": "3.13", "python_packages": ["numpy"]}, "predict": "predict.py:Predictor"},
        {**_PACKAGES, "has_lock": True, "requires_hashes": True},
    ),
}
"""The same for files of Cog's."""


def make_spec(values: Mapping[str, Any]) -> Spec:
    """Make a spec as if it had been loaded."""
    return Spec.model_validate({"predictor": "predict.py:Predictor", "path": Path("/project/servekit.yaml"), **values})


def make_cog_spec(values: Mapping[str, Any]) -> Spec:
    """Make a spec as if it had been loaded from a cog.yaml."""
    translation = translate(CogFile.model_validate(values), Path("/project"))
    return Spec.model_validate({**translation.values, "path": Path("/project/cog.yaml"), "dialect": "cog"})


def make_facts(**values: Any) -> BuildFacts:
    """Make facts of an ordinary build, with some of them changed."""
    return BuildFacts(**{**_FACTS, **values})


def render_case(name: str) -> str:
    """Write the Dockerfile of one of the cases."""
    values, facts = {**CASES, **COG_CASES}[name]
    spec = make_cog_spec(values) if name in COG_CASES else make_spec(values)
    return render_dockerfile(plan_dockerfile(spec, make_facts(**facts)))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    for case in (*CASES, *COG_CASES):
        (FOLDER / f"{case}.Dockerfile").write_text(render_case(case), encoding="utf-8")
    (FOLDER / "base.Dockerfile").write_text(render_dockerfile(plan_base(make_facts())), encoding="utf-8")
    sys.stdout.write(f"{len(CASES) + len(COG_CASES) + 1} files in {FOLDER}\n")
