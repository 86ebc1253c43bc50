"""Remedies for failed steps. Each file in `failures` is what one real build left: the step, the error, the output.

They come from python:3.12-slim and debian:bookworm under Docker 26.1, by the docker client unless the name
says otherwise, with uv 0.13.8 and pip 23.2.
"""

from collections import deque
from pathlib import Path

import pytest

from servekit_cli.engine.events import StepDone
from servekit_cli.engine.failure import describe_failure, is_engine_loss
from servekit_cli.engine.remedies import find_remedy
from servekit_cli.engine.steps import Step

FAILURES = Path(__file__).parent / "failures"

REMEDIES = {
    "apt-no-candidate": "The system has no package awk.",
    "apt-no-network": "The build cannot reach deb.debian.org.",
    "apt-package-missing": "The system has no package ffmepg. Correct build.system_packages",
    "apt-two-missing": "The system has no package ffmepg, libgl2xyz.",
    "apt-version-missing": "The system has another version of curl only.",
    "base-host-unknown": "no image registry.example.invalid/x:1, and the registry to get it from cannot be reached",
    "base-host-unknown-buildkit": "no image registry.example.invalid/x:1, and the registry",
    "base-host-unknown-classic": "no image registry.example.invalid/x:1, and the registry",
    "base-missing": "The engine has no image python:3.99-slim, and the registry to get it from cannot be reached",
    "base-missing-buildkit": "The engine has no image python:3.99-slim",
    "base-missing-classic": "The engine has no image python:3.99-slim",
    "base-not-found": "There is no image 127.0.0.1:8766/python:3.99-slim",
    "base-not-found-buildkit": "There is no image 127.0.0.1:8766/python:3.99-slim",
    "base-not-found-classic": "There is no image 127.0.0.1:8766/python:3.99-slim",
    "base-refused": "no image 127.0.0.1:9/x:1, and the registry to get it from cannot be reached",
    "base-refused-buildkit": "no image 127.0.0.1:9/x:1, and the registry",
    "base-refused-classic": "no image 127.0.0.1:9/x:1, and the registry",
    "command-fails": None,
    "command-fails-buildkit": None,
    "command-fails-classic": None,
    "copy-missing": "The build has no file nothing.",
    "copy-missing-buildkit": "The build has no file nothing.",
    "copy-missing-classic": "The build has no file nothing.",
    "disk-full": "The engine's disk is full.",
    "disk-full-python": "The engine's disk is full.",
    "dockerfile-wrong": None,
    "dockerfile-wrong-buildkit": None,
    "dockerfile-wrong-classic": None,
    "killed": "The step was killed, most likely for want of memory.",
    "other-processor": "The image is for another processor",
    "other-processor-classic": "The image is for another processor",
    "pip-certificate": "--secret id=ca,src=",
    "pip-conflict": "The requirements contradict each other",
    "pip-hash": "idna==3.10 is not what the lock was made from.",
    "pip-no-compiler": "must be compiled, which takes gcc.",
    "pip-no-network": "The build cannot reach the package index.",
    "pip-old-python": "There is no version scipy==1.7.3 for this Python.",
    "pip-package-missing": "The index has no package nmpyxyz123, or",
    "pip-refused": "a login goes into a netrc file",
    "pip-requires-python": "There is no version numba==0.53.0 for this Python.",
    "pip-version-missing": "There is no version idna==99.0",
    "program-missing": "The image has no program nosuchprogram.",
    "uv-certificate": "--secret id=ca,src=",
    "uv-conflict-with-servekit": "servekit itself is installed beside the model, and needs another pydantic than it.",
    "uv-conflict": "The requirements contradict each other",
    "uv-forbidden": "The index wants a login.",
    "uv-hash": "idna==3.10 is not what the lock was made from.",
    "uv-host-unknown": "The build cannot reach the package index.",
    "uv-index-down": "The build cannot reach the package index.",
    "uv-no-compiler": "must be compiled, which takes pg_config.",
    "uv-no-compiler-c": "must be compiled, which takes gcc.",
    "uv-no-network": "The build cannot reach the package index.",
    "uv-no-wheel": "There is no wheel of numpy==1.21.6 for this Python",
    "uv-no-wheel-platform": "There is no wheel of pywin32<=305, pywin32>=306 for this Python",
    "uv-old-python": "There is no wheel of scipy==1.7.3 for this Python",
    "uv-package-missing": "The index has no package nmpyxyz123.",
    "uv-range-missing": "There is no version idna>50",
    "uv-refused": "The index wants a login.",
    "uv-requires-python": "A requirement is not made for Python 3.12.1.",
    "uv-sdist-fails": "numpy==1.21.0 has no wheel for this Python, and could not be built from its sources.",
    "uv-version-missing": "There is no version idna==99.0",
}


def read_failure(name: str) -> tuple[str, str, list[str]]:
    command, error, *lines = (FAILURES / f"{name}.txt").read_text().removesuffix("\n").split("\n")
    return command, error, lines


def test_every_failure_that_was_kept_has_its_expectation() -> None:
    assert {path.stem for path in FAILURES.iterdir()} == set(REMEDIES)


@pytest.mark.parametrize("name", REMEDIES)
def test_the_remedy_fits_the_failure(name: str) -> None:
    command, error, lines = read_failure(name)

    remedy = find_remedy(command, lines, error)

    expected = REMEDIES[name]
    assert remedy is None if expected is None else expected in (remedy or "")


def test_a_conflict_is_shown_in_the_words_of_the_resolver() -> None:
    command, error, lines = read_failure("uv-conflict")
    step = Step(1, f"[stage-0 2/2] {command}", deque(lines), done=StepDone("1", error=error))

    message = describe_failure(step, "")

    assert "botocore==1.29.0 depends on urllib3>=1.25.4,<1.27 and you require urllib3==2.0.0" in message
    assert message.endswith("Loosen one of them.")


def test_only_the_end_of_a_long_output_is_shown() -> None:
    step = Step(1, "[2/2] RUN it", deque(f"line {number}" for number in range(100)), done=StepDone("1", error="x"))

    message = describe_failure(step, "")

    assert "line 79" not in message
    assert "line 80\n" in message
    assert "line 99" in message


def test_a_build_that_failed_before_its_first_step_is_told_in_the_words_of_the_builder() -> None:
    excerpt = "Dockerfile:2\n----\n  2 | >>> RUNN x\n----\nERROR: failed to solve: unknown instruction: RUNN"

    assert describe_failure(None, excerpt) == (
        "The image could not be built: failed to solve: unknown instruction: RUNN"
    )


@pytest.mark.parametrize(
    ("message", "is_loss"),
    [
        ("ERROR: failed to receive status: rpc error: code = Unavailable desc = error reading from server: EOF", True),
        ("ERROR: Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?", True),
        ("ERROR: failed to solve: dial tcp 127.0.0.1:9: connect: connection refused", False),
        ("ERROR: failed to solve: 503 Service Unavailable", False),
    ],
)
def test_a_lost_engine_is_told_from_a_failed_build(message: str, *, is_loss: bool) -> None:
    assert is_engine_loss(message) is is_loss
