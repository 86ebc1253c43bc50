"""What a URL of http or https leads to: for whoever connects to where a client says."""

import socket
from dataclasses import dataclass

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, make_headers, parse_url

__all__ = ["Target", "TargetError", "look_up", "show_url"]

_MAX_SHOWN = 200


class TargetError(Exception):
    """A URL or a host that nothing can be asked of; the message does not name it."""


@dataclass(frozen=True, slots=True)
class Target:
    """What one request goes to.

    Attributes:
        url: The URL, encoded as it is sent.
        host: The name or the address in it, without brackets.
        port: The port in it, or that of its scheme.
    """

    url: Url
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> "Target":
        """Read a URL.

        Raises:
            TargetError: It is none, or one of another scheme.
        """
        try:
            parsed = parse_url(url)
        except LocationParseError as error:
            message = f"is not a URL: {error}"
            raise TargetError(message) from error
        if parsed.scheme not in ("http", "https") or not parsed.host:
            message = "is no URL of http or https"
            raise TargetError(message)
        if not all("!" <= letter <= "~" for letter in parsed.host):  # a line break would begin another header
            message = "names a host with characters that no host has"
            raise TargetError(message)
        return cls(parsed, parsed.host.strip("[]"), parsed.port or (443 if parsed.scheme == "https" else 80))

    @property
    def is_encrypted(self) -> bool:
        """Whether it is reached by TLS."""
        return self.url.scheme == "https"

    @property
    def origin(self) -> str:
        """The URL up to its path, which may be the secret itself."""
        return f"{self.url.scheme}://{self.host_header}"

    @property
    def shown(self) -> str:
        """The URL without what may be secret in it: user, password and query."""
        return f"{self.origin}{self.url.path or '/'}"

    @property
    def host_header(self) -> str:
        """What the Host header says."""
        return self.url.host + ("" if self.url.port is None else f":{self.url.port}") if self.url.host else ""

    @property
    def request_uri(self) -> str:
        """Path and query."""
        return self.url.request_uri

    @property
    def credentials(self) -> dict[str, str]:
        """The Authorization header for the user and the password in the URL; empty without them."""
        return {} if self.url.auth is None else dict(make_headers(basic_auth=self.url.auth))


def look_up(host: str, port: int) -> list[str]:
    """Return the addresses of a host, at least one; it takes as long as the system's resolver does.

    Raises:
        TargetError: There is no such host.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        message = f'there is no host "{host}"'
        raise TargetError(message) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def show_url(url: str) -> str:
    """Return a URL that may not even be one, without what may be secret in it, and not too long."""
    return url.partition("?")[0].rpartition("@")[2][:_MAX_SHOWN]
