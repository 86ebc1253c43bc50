"""Build with the docker client: BuildKit with all that it can do, secrets included."""

import codecs
import csv
import io
import os
import signal
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from servekit_cli.engine.connection import Engine
from servekit_cli.engine.events import BuildEvent, BuildFailed, ImageBuilt
from servekit_cli.engine.features import BuildClient
from servekit_cli.engine.plain import PlainReader
from servekit_cli.engine.reports import JsonStream, read_report
from servekit_cli.engine.request import BuildRequest, BuildSecret
from servekit_cli.engine.status import LineSplitter, StatusReader

__all__ = ["build_by_client"]

_END_SECONDS: Final = 5  # for a client that was asked to stop; by feel, it takes a tenth of a second


def build_by_client(engine: Engine, client: BuildClient, request: BuildRequest) -> Iterator[BuildEvent]:
    """Run `docker buildx build` and give its events; the last one says how it ended.

    Closing the iterator ends the client, and thereby the build, at once.
    """
    with tempfile.TemporaryDirectory(prefix="servekit-build-") as scratch:
        image_id = Path(scratch, "id")
        command = _make_command(client, request, image_id)
        with _running(command, _environment(engine, request)) as output:
            read = _read_json if client.has_rawjson else _read_plain
            message = yield from read(output)
        if image_id.exists():
            yield ImageBuilt(image_id.read_text(encoding="utf-8").strip())
        else:
            yield BuildFailed(message)


def _make_command(client: BuildClient, request: BuildRequest, image_id: Path) -> list[str]:
    return [
        *client.command,
        f"--progress={'rawjson' if client.has_rawjson else 'plain'}",
        f"--iidfile={image_id}",
        f"--file={request.context / request.dockerfile}",
        *(["--load"] if client.is_buildx else []),
        *(f"--tag={tag}" for tag in request.tags),
        *(f"--label={name}={text}" for name, text in request.labels.items()),
        *(f"--build-arg={_argument(name, text)}" for name, text in request.all_build_args.items()),
        *(f"--secret={_secret(number, secret)}" for number, secret in enumerate(request.secrets)),
        *([f"--platform={request.platform}"] if request.platform else []),
        *([f"--network={request.network}"] if request.network else []),
        *(["--no-cache"] if request.no_cache else []),
        *(["--pull"] if request.pull else []),
        str(request.context),
    ]


def _argument(name: str, text: str) -> str:
    """Name only what the client finds in its environment: all can read arguments, and a proxy may have a password."""
    return name if os.environ.get(name) == text else f"{name}={text}"


def _secret(number: int, secret: BuildSecret) -> str:
    source = f"env={_variable(number)}" if secret.file is None else f"src={secret.file.absolute()}"
    fields = io.StringIO()
    csv.writer(fields, lineterminator="").writerow([f"id={secret.id}", source])
    return fields.getvalue()


def _variable(number: int) -> str:
    return f"SERVEKIT_BUILD_SECRET_{number}"


def _environment(engine: Engine, request: BuildRequest) -> dict[str, str]:
    secrets = {
        _variable(number): secret.value
        for number, secret in enumerate(request.secrets)
        if secret.file is None and secret.value is not None
    }
    return {
        # A builder that someone made the default may be a container that has none of this engine's images.
        "BUILDX_BUILDER": engine.endpoint.builder,
        **os.environ,
        **engine.endpoint.environment,
        "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",  # they would make each image an index, and each build another one
        "DOCKER_BUILDKIT": "1",
        "DOCKER_CLI_HINTS": "false",
        **secrets,
    }


def _read_json(output: IO[bytes]) -> Generator[BuildEvent, None, str]:
    stream, reader = JsonStream(), StatusReader()
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for piece in _pieces(output):
        for report in stream.feed(decoder.decode(piece)):
            yield from reader.read(read_report(report))
    return stream.rest.strip()


def _read_plain(output: IO[bytes]) -> Generator[BuildEvent, None, str]:
    splitter, reader = LineSplitter(), PlainReader()
    for piece in _pieces(output):
        for line in splitter.feed(piece):
            yield from reader.read(line)
    for line in splitter.end():
        yield from reader.read(line)
    return "\n".join(reader.rest)


def _pieces(output: IO[bytes]) -> Iterator[bytes]:
    """Give what is written as soon as it is there."""
    while piece := os.read(output.fileno(), 1 << 16):
        yield piece


@contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Generator[IO[bytes]]:
    """Run the client in a session of its own, so that Ctrl-C reaches it from here only, and end it with the block."""
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stderr is not None  # it was asked for
    try:
        with process.stderr:
            yield process.stderr
        process.wait()
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the client and its plugin, which does the work, if they still run."""
    if process.poll() is not None:
        return
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
