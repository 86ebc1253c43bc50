"""Run a command in a container that is there for it alone, with this process's input and output."""

import contextlib
import os
import shutil
import signal
import sys
import termios
import threading
import tty
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from docker.errors import APIError
from docker.models.containers import Container

from servekit_cli.container.faults import explain_refusal
from servekit_cli.container.gpu import decide_gpu
from servekit_cli.container.leash import put_on_leash
from servekit_cli.container.options import RunOptions
from servekit_cli.container.ownership import label_owner, sweep
from servekit_cli.container.removal import remove_container
from servekit_cli.container.request import ContainerRequest, Publication, new_name
from servekit_cli.ending import terminable
from servekit_cli.engine import Engine, inspect_image

__all__ = ["execute"]

_GRACE_SECONDS: Final = 5
_PIECE: Final = 1 << 16


def execute(engine: Engine, image: str, command: Sequence[str], options: RunOptions, network: str | None) -> int:
    """Run a command in a new container and wait for its end. The container is gone then, whatever happened.

    On a terminal the command has one as well; elsewhere it has stdin, stdout and stderr.
    Ctrl-C and SIGTERM ask it to end, and kill it after a while.

    Args:
        engine: Where it runs.
        image: A name or an id.
        command: The program and its arguments.
        options: What the user said of the container.
        network: The container's network: `none`, `host`, the name of one; None for the engine's default.

    Returns:
        Its exit code.

    Raises:
        ImageError: There is no such image.
        ContainerError: The engine does not start the container.
        EngineError: The engine went away.
    """
    facts = inspect_image(engine, image)
    sweep(engine)
    request = ContainerRequest(
        name=new_name("run"),
        image=facts.id,
        labels=label_owner(),
        environment=options.environment,
        publication=Publication(0, "", 0),
        options=options,
        has_gpu=decide_gpu(engine, options.gpus, is_wanted=facts.labels.get("dev.servekit.gpu") == "true"),
        checks_health=False,
    )
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    arguments = {
        **request.arguments(),
        "command": list(command),
        "network_mode": network,
        "stdin_open": True,
        "tty": is_terminal,
        "auto_remove": False,  # its exit code is asked for after its end
    }
    del arguments["ports"]
    with terminable():
        try:
            return _run(engine, request, arguments, is_terminal=is_terminal)
        finally:
            remove_container(engine, request.name)


def _run(engine: Engine, request: ContainerRequest, arguments: dict[str, Any], *, is_terminal: bool) -> int:
    with engine.faults():
        try:
            attachment = _start(engine, arguments, is_terminal=is_terminal)
        except APIError as error:
            raise explain_refusal(error, request, None) from error
        leash = put_on_leash(engine, request.name, grace_seconds=_GRACE_SECONDS)
        with contextlib.ExitStack() as stack:
            if leash is not None:
                stack.callback(leash.close)
            if is_terminal:
                stack.enter_context(_raw_terminal(attachment.container))
            return _follow(attachment)


@dataclass(frozen=True)
class _Attachment:
    """A container that runs, and what goes in and out of it."""

    container: Container
    output: Iterable[tuple[bytes | None, bytes | None]]
    input: Any  # a socket in one of the wrappings that the SDK has for the kinds of connections


def _start(engine: Engine, arguments: dict[str, Any], *, is_terminal: bool) -> _Attachment:
    """Make the connections before the container runs, so that nothing it prints is missed."""
    container = engine.client.containers.create(**arguments)
    api: Any = engine.client.api  # its types are of half of the arguments only
    stream = api.attach(container.id, stream=True, demux=not is_terminal)
    output = ((piece, None) for piece in stream) if is_terminal else stream
    entry = api.attach_socket(container.id, params={"stdin": 1, "stream": 1})
    container.start()
    return _Attachment(container, output, entry)


def _follow(attachment: _Attachment) -> int:
    threading.Thread(target=_send_input, args=(attachment.input,), daemon=True).start()
    try:
        for out, err in attachment.output:
            _write(sys.stdout.buffer, out)
            _write(sys.stderr.buffer, err)
        return int(attachment.container.wait()["StatusCode"])
    except BaseException:
        with contextlib.suppress(APIError):
            attachment.container.stop(timeout=_GRACE_SECONDS)
        raise


def _write(stream: Any, piece: bytes | None) -> None:
    if piece:
        stream.write(piece)
        stream.flush()


def _send_input(entry: Any) -> None:
    """Pass stdin on until it ends. The thread is left alone at the end of the process: nothing can wake a read."""
    connection = getattr(entry, "_sock", entry)
    with contextlib.suppress(OSError):  # the command has ended and does not read any more
        while piece := os.read(sys.stdin.fileno(), _PIECE):
            connection.sendall(piece)
        connection.shutdown(1)  # for writing only: what is printed comes on


@contextlib.contextmanager
def _raw_terminal(container: Container) -> Generator[None]:
    """Leave keys, Ctrl-C included, and the size of the window to the terminal in the container."""
    keyboard = sys.stdin.fileno()
    before: list[Any] = termios.tcgetattr(keyboard)

    def resize(*_: object) -> None:
        columns, lines = shutil.get_terminal_size()
        with contextlib.suppress(APIError):  # it has ended
            container.resize(lines, columns)

    signal_before = signal.signal(signal.SIGWINCH, resize)
    tty.setraw(keyboard)
    resize()
    try:
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, signal_before)
