"""Rows from one JSON list, of which only the row that is being read is in memory."""

import codecs
import json
from collections.abc import Iterator
from typing import IO, Final

from servekit.errors import UsageError
from servekit_cli.batching.records import MAX_ROW_BYTES, Record

__all__ = ["read_json_list"]

_PIECE: Final = 1 << 16
_SPACE: Final = " \t\n\r"
_SHOWN: Final = 200


def read_json_list(stream: IO[bytes], name: str) -> Iterator[Record]:
    """Read the items of a list.

    Where it stops being JSON the last row says so: what comes after it cannot be told apart.

    Raises:
        UsageError: It is no list.
    """
    text = _Text(stream)
    opening = text.next_character()
    if not opening:
        return
    if opening != "[":
        raise UsageError(
            f"{name} holds no JSON list: it begins with {opening!r}.\n"
            "Give the rows as [{...}, {...}], or as lines of JSON with --format jsonl."
        )
    text.skip()
    number = 0
    while (character := text.next_character()) != "]":
        number += 1
        place = f"line {text.line}"
        if number > 1:
            if character != ",":
                yield _fault(number, place, text, 'after a row, "," or "]" was expected')
                return
            text.skip()
            text.next_character()
            place = f"line {text.line}"
        try:
            yield Record(number, place, text.take_value().encode())
        except (ValueError, RecursionError) as error:
            yield _fault(number, place, text, str(error))
            return


def _fault(number: int, place: str, text: "_Text", reason: str) -> Record:
    return Record(
        number,
        place,
        text.rest[:_SHOWN].encode(errors="replace"),
        fault=f"not JSON from here on, so that no row after it can be read: {reason}",
    )


class _Text:
    """The text of a stream, read on as it is needed."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.line = 1
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="surrogateescape")
        self._scan = json.JSONDecoder().raw_decode
        self._buffer = ""
        self._at = 0
        self._is_over = False

    @property
    def rest(self) -> str:
        return self._buffer[self._at :]

    def next_character(self) -> str:
        """Go to what is no space, and return it; empty at the end."""
        while True:
            while self._at < len(self._buffer):
                character = self._buffer[self._at]
                if character not in _SPACE:
                    return character
                self.line += character == "\n"
                self._at += 1
            if not self._read_on(_PIECE):
                return ""

    def skip(self) -> None:
        self._at += 1

    def take_value(self) -> str:
        """Take the value that begins here, as it is written.

        Raises:
            ValueError: There is none.
        """
        while True:
            try:
                _, end = self._scan(self._buffer, self._at)
            except ValueError:
                # It may only be cut off. Twice as much each time: what was looked at in vain stays in proportion.
                if len(self._buffer) - self._at > MAX_ROW_BYTES or not self._read_on(len(self._buffer)):
                    raise
                continue
            if end < len(self._buffer) or not self._read_on(_PIECE):  # else a number may go on
                break
        value, self._at = self._buffer[self._at : end], end
        self.line += value.count("\n")
        return value

    def _read_on(self, size: int) -> bool:
        """Read more; False at the end."""
        if self._is_over:
            return False
        piece = self._stream.read(max(size, _PIECE))
        self._is_over = not piece
        self._buffer = self._buffer[self._at :] + self._decoder.decode(piece, final=self._is_over)
        self._at = 0
        return not self._is_over
