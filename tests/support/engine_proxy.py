"""Something between a client and an engine that can fail, as a real engine would."""

import contextlib
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self


class EngineProxy:
    """Passes on what comes to a socket of its own; `cut` is for clients what the engine's sudden end is.

    Args:
        folder: Where its socket is.
        engine: The engine's socket.
        address: Listen at this address instead, as an engine on another machine does.

    Attributes:
        host: What DOCKER_HOST is set to for it.
        asked: Set once somebody has come for the engine.
    """

    def __init__(self, folder: Path, engine: Path, address: str | None = None) -> None:
        self.path = folder / "proxy.sock"
        self.host = f"unix://{self.path}"
        self.asked = threading.Event()
        self._engine = engine
        if address is None:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(self.path))
            self._listener.listen()
        else:
            self._listener = socket.create_server((address, 0))
            self.host = f"tcp://{address}:{self._listener.getsockname()[1]}"
        self._connections: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cut()

    def cut(self) -> None:
        """End all connections, and accept no more."""
        for connection in [self._listener, *self._connections]:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.asked.set()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(str(self._engine))
                self._connections += [client, engine]
                for source, target in ((client, engine), (engine, client)):
                    threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
