"""What building and starting images costs: `python -m benchmarks.images [--rounds N] [--weights MB]`.

Needs a Docker engine with the Python base image, and the network of the first build. Measured with the command
line as a user runs it, medians over the rounds:

    nothing changed     `servekit build` again
    code changed        again after another line in predict.py
    ... with weights    the same in a project that names a file of 500 MB under `weights`
    one more package    again after another line under `python_packages`, and beside it the install alone
                        (the same installer in a plain container, without its cache)
    size                the image less its Python base
    start               from the start of the container to the first 200 of /readyz, less the engine's own time
                        for a container that does nothing

A round's image is used by the next one, so that every build but the first finds what it may keep.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

BASE = "python:3.12-slim"
TAG = "servekit-benchmark"

PREDICTOR = """\
def predict(name: str = "world") -> str:
    return f"Hello, {name}!"
"""
SPEC = """\
predictor: predict.py:predict
build:
  python_version: "3.12"
"""
PACKAGES = ("tabulate", "toolz", "more-itertools", "idna", "inflect", "humanize", "wcwidth", "boltons")
"""Pure Python and small, one for each round: what they cost is the step around them."""

AIMS = {
    "nothing changed": 1.0,
    "code changed": 2.5,
    "code changed, with weights": 2.5,
    "one more package, over the install": 3.0,
    "start, over the engine's own": 1.5,
}


def make_project(folder: Path, weights_mb: int = 0) -> Path:
    """Write a project, with a file of random weights if any are asked for."""
    folder.mkdir()
    (folder / "predict.py").write_text(PREDICTOR, encoding="utf-8")
    spec = SPEC
    if weights_mb:
        spec += "weights:\n  - model.bin\n"
        with (folder / "model.bin").open("wb") as file:
            for _ in range(weights_mb):
                file.write(os.urandom(1 << 20))
    (folder / "servekit.yaml").write_text(spec, encoding="utf-8")
    return folder


def build(project: Path) -> float:
    """Build a project's image; return the seconds that the command took."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "servekit_cli", "build", "--file", str(project), "--tag", f"{TAG}:{project.name}"]
    # Bytecode is kept, as on any machine where a command is run twice.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return seconds


def change_code(project: Path, number: int) -> None:
    """Give the predictor another line."""
    with (project / "predict.py").open("a", encoding="utf-8") as file:
        file.write(f"# change {number}\n")


def add_package(project: Path, packages: tuple[str, ...]) -> None:
    """Have the spec name these packages."""
    lines = "".join(f"    - {package}\n" for package in packages)
    (project / "servekit.yaml").write_text(f"{SPEC}  python_packages:\n{lines}", encoding="utf-8")


def install_alone(package: str) -> float:
    """Return how long the install of a package takes in a container of the base image, by itself."""
    trust = find_certificates()
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    command = ["docker", "run", "--rm", "-v", f"{uv}:/usr/local/bin/uv:ro"]
    if trust:
        command += ["-v", f"{trust}:/ca.pem:ro", "-e", "SSL_CERT_FILE=/ca.pem"]
    install = ["uv", "pip", "install", "--system", "--compile-bytecode", "--quiet", package]
    began = time.perf_counter()
    subprocess.run([*command, BASE, *install], check=True)
    return time.perf_counter() - began


def find_certificates() -> str | None:
    """Return the bundle of certificates that this machine trusts, if a variable names one."""
    return next(filter(None, map(os.environ.get, ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"))), None)


def run_until(image: str, is_up: Callable[[str], bool], *arguments: str) -> float:
    """Start a container and return the seconds until it is up; it is removed."""
    began = time.perf_counter()
    command = ["docker", "run", "--detach", "--publish", "127.0.0.1::5000", image, *arguments]
    name = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    try:
        while not is_up(name):
            if time.perf_counter() - began > 60:
                sys.exit(f"{image} was not up after a minute")
        return time.perf_counter() - began
    finally:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)


def is_running(_name: str) -> bool:
    """Whether a container runs: `docker run --detach` returns when it does."""
    return True


def make_ready_check() -> Callable[[str], bool]:
    """Give a check that asks a container's /readyz, and looks up its port once."""
    urls: dict[str, str] = {}

    def is_ready(name: str) -> bool:
        if name not in urls:
            port = subprocess.run(["docker", "port", name, "5000"], capture_output=True, text=True, check=True).stdout
            urls[name] = f"http://{port.split()[0]}/readyz"
        try:
            with urllib.request.urlopen(urls[name], timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.005)
            return False

    return is_ready


def size_of(image: str) -> float:
    """Return an image's size in MB."""
    command = ["docker", "image", "inspect", "--format", "{{.Size}}", image]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1e6


def measure(folder: Path, rounds: int, weights_mb: int) -> dict[str, list[float]]:
    """Take all figures; seconds, but for the size in MB."""
    plain = make_project(folder / "plain")
    weighty = make_project(folder / "weighty", weights_mb)
    packages = make_project(folder / "packages")
    figures: dict[str, list[float]] = {"first build": [build(plain)], "first build, with weights": [build(weighty)]}
    build(packages)
    take: Callable[[str, float], None] = lambda name, value: figures.setdefault(name, []).append(value)  # noqa: E731
    for number in range(rounds):
        take("nothing changed", build(plain))
        change_code(plain, number)
        take("code changed", build(plain))
        change_code(weighty, number)
        take("code changed, with weights", build(weighty))
        alone = install_alone(PACKAGES[number])
        add_package(packages, PACKAGES[: number + 1])
        both = build(packages)
        take("the install alone", alone)
        take("one more package", both)
        take("one more package, over the install", both - alone)
        own = run_until(BASE, is_running, "sleep", "60")
        take("the engine's own start", own)
        take("start, over the engine's own", run_until(f"{TAG}:plain", make_ready_check()) - own)
    figures["size over the base, MB"] = [size_of(f"{TAG}:plain") - size_of(BASE)]
    return figures


def main() -> None:
    """Measure, print a table, and remove what was made."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.images", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, choices=range(1, len(PACKAGES) + 1), metavar="N")
    parser.add_argument("--weights", type=int, default=500, metavar="MB")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="servekit-images-"))
    try:
        figures = measure(folder, options.rounds, options.weights)
    finally:
        shutil.rmtree(folder)
        names = [f"{TAG}:{name}" for name in ("plain", "weighty", "packages")]
        subprocess.run(["docker", "image", "rm", "--force", *names], capture_output=True, check=False)
    print("| | median | least | most | aim |\n|---|---|---|---|---|")
    for name, values in figures.items():
        aim = AIMS.get(name, 45.0 if name.startswith("size") else None)
        cells = [f"{value:.2f}" for value in (statistics.median(values), min(values), max(values))]
        print(f"| {name} | {' | '.join(cells)} | {'' if aim is None else f'at most {aim:g}'} |")


if __name__ == "__main__":
    main()
