"""What one prediction gives, written as JSON within its limit.

What holds no file is written at once. Files are read, or uploaded, which blocks: never on an event loop.
"""

from collections.abc import Callable
from typing import Any

from servekit.errors import OutputError
from servekit.jsonable import INLINE, WITHOUT_FILES, JsonWriter
from servekit.output_files import FileMetError
from servekit.runtime.uploading.outputs import UploadedFiles
from servekit.signature import Signature

__all__ = ["OutputWriter"]


class OutputWriter:
    """Writes the output of one prediction, whole or item by item.

    Attributes:
        count: How many values were written.

    Args:
        signature: What the output must fit.
        max_bytes: How much JSON it may be; of a file that is uploaded its URL counts.
        uploads: Where files go; without it they are data URLs.
    """

    def __init__(self, signature: Signature, max_bytes: int, uploads: UploadedFiles | None) -> None:
        self.count = 0
        self._signature = signature
        self._max_bytes = max_bytes
        self._uploads = uploads
        self._size = 0

    def write(self, value: Any) -> bytes:
        """Write a value or an item, and wait for its files.

        Raises:
            OutputError: It does not fit, cannot be written, or is too much.
            UploadError: A file of it could not be sent.
            CancelationError: The prediction was canceled meanwhile.
        """
        try:
            return self.write_at_once(value)
        except FileMetError:
            pass
        return self.write_with_files(value)

    def write_at_once(self, value: Any) -> bytes:
        """Write a value or an item without waiting for anything.

        Raises:
            OutputError: As `write`.
            FileMetError: There is a file in it, for which `write_with_files` is to be called elsewhere.
        """
        try:
            encoded = self._signature.encode_output(value, WITHOUT_FILES)
        except OutputError as error:
            raise self._place(error) from error.__cause__
        return self._take(encoded)

    def write_with_files(self, value: Any) -> bytes:
        """Write a value or an item in which a file was met; see `write`."""
        try:
            if self._uploads is None:
                encoded = self._signature.encode_output(value, INLINE)
            else:
                encoded = self._uploads.encode(self._bind(value))
        except OutputError as error:
            raise self._place(error) from error.__cause__
        return self._take(encoded)

    def _bind(self, value: Any) -> Callable[[JsonWriter], bytes]:
        return lambda writer: self._signature.encode_output(value, writer)

    def _take(self, encoded: bytes) -> bytes:
        self.count += 1
        self._size += len(encoded)
        if self._size > self._max_bytes:
            message = (
                f"the output is larger than {self._max_bytes} bytes (serve.max_output); "
                "raise that limit, or return less"
            )
            raise OutputError(message)
        return encoded

    def _place(self, error: OutputError) -> OutputError:
        """Name the item of a stream that an error is about."""
        return OutputError(f"item {self.count} (counted from 0): {error}") if self._signature.streams else error
