"""`python -m servekit.server.healthcheck [PORT]`: what a container's HEALTHCHECK runs, every few seconds.

It asks the server beside it whether predictions are taken. It speaks over a bare socket, since the
standard library's HTTP client alone would triple what it costs.
"""

import os
import socket
import sys
from collections.abc import Mapping, Sequence

__all__ = ["check", "choose_port", "main"]

_DEFAULT_PORT = 5000
_TIMEOUT_SECONDS = 5.0
"""As long as the server gives a predictor's own healthcheck by default; engines allow 30 s by default."""


def main(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Ask the server, and return 0 when it takes predictions, else 1 with the reason on stderr.

    Args:
        arguments: The port that the server listens on when no variable names one; 5000 if not given.
        environ: The variables that the server has, too.
    """
    port = choose_port(arguments, environ)
    try:
        reason = check(port)
    except OSError as error:
        reason = f"nothing answers on port {port}: {error}"
    if reason is None:
        return 0
    sys.stderr.write(f"{reason}\n")
    return 1


def choose_port(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Find the port in the order in which the server itself looks for it."""
    named = environ.get("SERVEKIT_PORT") or environ.get("PORT")
    return int(named or next(iter(arguments), _DEFAULT_PORT))


def check(port: int) -> str | None:
    """Ask `/readyz`, and return why no predictions are taken, or None when they are.

    Raises:
        OSError: There is no server, or it does not answer in time.
    """
    with socket.create_connection(("127.0.0.1", port), _TIMEOUT_SECONDS) as connection:
        connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        with connection.makefile("rb") as answer:
            text = answer.read(_MAX_ANSWER_BYTES).decode("utf-8", "replace")
    words = text.split(maxsplit=2)
    if words[1:2] == ["200"]:
        return None
    return text.rpartition("\r\n")[2] or f"the server answered {text!r}"


_MAX_ANSWER_BYTES = 10_000

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
