"""The media types of requests' bodies."""

from typing import Final

__all__ = ["JSON", "is_json", "name_type"]

JSON: Final = b"application/json"


def name_type(content_type: bytes) -> str:
    """Return the media type in a `Content-Type`, in lower case and without its parameters."""
    return content_type.partition(b";")[0].strip().lower().decode("latin-1")


def is_json(content_type: bytes) -> bool:
    """Whether a `Content-Type` says JSON, or something that is written in it."""
    if content_type == JSON:
        return True
    kind = name_type(content_type)
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
