"""Text of the model on its way to clients: whatever it is, it must be valid Unicode and of sane length."""

__all__ = ["clean", "shorten"]


def clean(text: str) -> str:
    """Replace what UTF-8 cannot hold: lone surrogates, such as an undecodable file name leaves in a message."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def shorten(text: str, max_length: int) -> str:
    """Clean a text and cut the middle out of one that is too long; how it begins and ends says the most."""
    if len(text) > max_length:
        half = max_length // 2
        text = f"{text[:half]}\n[... {len(text) - 2 * half} characters cut ...]\n{text[-half:]}"
    return clean(text)
