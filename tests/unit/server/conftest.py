"""What tests of the server's parts share."""

from collections.abc import Iterator

import pytest
from logbook import Logbook


@pytest.fixture
def logbook() -> Iterator[Logbook]:
    """A log that the test can read."""
    book = Logbook()
    yield book
    book.close()
