"""Each test declares its own settings."""

from collections.abc import Generator

import pytest

from servekit import isolated_settings


@pytest.fixture(autouse=True)
def _own_settings() -> Generator[None]:
    with isolated_settings():
        yield
