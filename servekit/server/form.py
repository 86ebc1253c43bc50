"""Requests as `multipart/form-data`: fields are inputs by name, files go to disk as they come.

No file is ever in memory as a whole. In the input a file stands as a token, `upload:<random>/<name>`,
which only this request's prediction can resolve.
"""

import asyncio
import contextlib
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from servekit.server.exchange import ClientGoneError, Exchange
from servekit.server.fields import Field, compose_input
from servekit.server.problems import Refusal

__all__ = ["Form", "parse_boundary", "read_form"]

_MAX_PARTS = 1000
_FLUSH_BYTES = 1 << 20
"""Files are written by a thread, this much at a time: a hop for every packet would cost more than the writing."""

_NO_PLACE = "the files of the form cannot be stored: {}; free the server's temporary folder, or send files as URLs"

_MAX_STEM_BYTES = 200
_MAX_ENDING_BYTES = 50
"""Together with the dot less than the 255 bytes that file systems take."""


@dataclass
class Form:
    """A form that was read.

    Attributes:
        fields: Its parts in order.
        uploads: Where each file lies, by its token.
    """

    fields: list[Field] = field(default_factory=list[Field])
    uploads: dict[str, Path] = field(default_factory=dict[str, Path])

    def as_input(self, input_schema: dict[str, object]) -> bytes:
        """Return the form as an input object, in JSON."""
        return compose_input(self.fields, input_schema)


def parse_boundary(content_type: bytes) -> bytes | None:
    """Return the boundary of a `multipart/form-data` body, or None when it is of another type.

    Raises:
        Refusal: It names no boundary.
    """
    kind, options = parse_options_header(content_type)
    if kind.lower() != b"multipart/form-data":
        return None
    if not options.get(b"boundary"):
        raise Refusal(400, "the Content-Type multipart/form-data names no boundary; let the HTTP client set the header")
    return options[b"boundary"]


async def read_form(exchange: Exchange, boundary: bytes, directory: Path, limit: int, stall_seconds: float) -> Form:
    """Read a form, its files into a folder.

    Args:
        exchange: The request.
        boundary: What stands between the parts.
        directory: Where files go; made when the first one comes. Whoever calls removes it, also after an error.
        limit: How many bytes the body may have.
        stall_seconds: How long the client may send nothing.

    Raises:
        Refusal: It is too large, comes too slowly, is no proper form, or its files find no place.
        ClientGoneError: The client went away before the end.
    """
    exchange.check_announced_length(limit)
    parts = _Parts(directory)
    more = True
    try:
        parser = _make_parser(parts, boundary)
        size = 0
        while more:
            message = await exchange.receive_body(stall_seconds)
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            data: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            size += len(data)
            if size > limit:
                raise Refusal.too_large(limit)
            parser.write(data)
            if parts.pending_bytes > _FLUSH_BYTES:
                await asyncio.to_thread(parts.flush)
        if not parts.is_complete:
            raise Refusal(400, "the form ends before its last boundary; the body was cut short")
        await asyncio.to_thread(parts.finish)
    except FormParserError as error:
        raise Refusal(400, f"the form cannot be read: {error}") from error
    except OSError as error:
        raise Refusal(507, _NO_PLACE.format(error.strerror), is_before_the_end=more) from error
    finally:
        with contextlib.suppress(OSError):  # what is still open then goes with its folder
            await asyncio.to_thread(parts.close)
    return parts.form


def _make_parser(parts: "_Parts", boundary: bytes) -> MultipartParser:
    return MultipartParser(
        boundary,
        {
            "on_part_begin": parts.on_part_begin,
            "on_part_data": parts.on_part_data,
            "on_part_end": parts.on_part_end,
            "on_header_field": parts.on_header_field,
            "on_header_value": parts.on_header_value,
            "on_header_end": parts.on_header_end,
            "on_headers_finished": parts.on_headers_finished,
            "on_end": parts.on_end,
        },
    )


class _Parts:
    """What the parser calls, part by part. Nothing is written before `flush`."""

    def __init__(self, directory: Path) -> None:
        self.form = Form()
        self.pending_bytes = 0
        self.is_complete = False
        self._directory = directory
        self._count = 0
        self._headers: dict[bytes, bytes] = {}
        self._header_name = b""
        self._header_value = b""
        self._name = ""
        self._text = bytearray()
        self._path: Path | None = None
        self._pending: list[tuple[Path, bytes]] = []
        self._open: tuple[Path, BinaryIO] | None = None

    def on_part_begin(self) -> None:
        self._count += 1
        if self._count > _MAX_PARTS:
            raise Refusal(413, f"the form has more than {_MAX_PARTS} parts", is_before_the_end=True)
        self._headers = {}
        self._text = bytearray()
        self._path = None

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end].lower()

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def on_header_end(self) -> None:
        self._headers[self._header_name] = self._header_value
        self._header_name = self._header_value = b""

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = options.get(b"name")
        if not name:
            raise Refusal(400, f"part {self._count} of the form has no name; each part is named as its input is")
        self._name = name.decode("utf-8", "replace")
        if b"filename" in options:
            self._begin_file(options[b"filename"].decode("utf-8", "replace"))

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        piece = data[start:end]
        if self._path is None:
            self._text += piece
        else:
            self._pending.append((self._path, piece))
            self.pending_bytes += len(piece)

    def on_part_end(self) -> None:
        if self._path is None:
            self.form.fields.append(Field(self._name, self._text.decode("utf-8", "replace"), is_file=False))

    def on_end(self) -> None:
        self.is_complete = True

    def flush(self) -> None:
        """Write what has come; in a thread."""
        pending, self._pending, self.pending_bytes = self._pending, [], 0
        for path, data in pending:
            self._file(path).write(data)

    def finish(self) -> None:
        """Write what is left; in a thread."""
        self.flush()
        self.close()

    def close(self) -> None:
        """Close the file that is open."""
        if self._open is not None:
            file, self._open = self._open[1], None
            file.close()

    def _begin_file(self, client_name: str) -> None:
        # A folder of its own: two files of one name stay apart, and each keeps its name for the predictor.
        key = secrets.token_hex(8)
        name = _safe_name(client_name)
        self._path = self._directory / key / name
        token = f"upload:{key}/{name}"
        self.form.uploads[token] = self._path
        self.form.fields.append(Field(self._name, token, is_file=True))
        self._pending.append((self._path, b""))  # an empty file is a file as well

    def _file(self, path: Path) -> BinaryIO:
        if self._open is None or self._open[0] != path:
            self.close()
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open = (path, path.open("wb"))
        return self._open[1]


def _safe_name(name: str) -> str:
    """Return a file name in which nothing is left of a path, and nothing that a shell or a terminal would act on."""
    last = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join(letter if letter.isalnum() or letter in "._- ()" else "_" for letter in last).strip(". ")
    stem, dot, ending = kept.rpartition(".")
    if dot and len(ending.encode()) <= _MAX_ENDING_BYTES:
        return f"{_cut(stem, _MAX_STEM_BYTES)}.{ending}"
    return _cut(kept, _MAX_STEM_BYTES) or "file"


def _cut(text: str, count: int) -> str:
    return text.encode()[:count].decode(errors="ignore")
