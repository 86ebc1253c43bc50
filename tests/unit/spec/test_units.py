import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from servekit.spec.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("500ms", 0.5), ("30s", 30), ("10m", 600), ("1h", 3600), ("1.5 h", 5400), ("7", 7), (2.5, 2.5), (0, 0)],
)
def test_a_duration_is_read_in_seconds(written: object, seconds: float) -> None:
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    ("written", "size"),
    [("5B", 5), ("2KB", 2000), ("512MB", 512_000_000), ("1GiB", 2**30), ("1.5 mib", 1_572_864), ("7", 7), (9, 9)],
)
def test_a_size_is_read_in_bytes(written: object, size: int) -> None:
    assert parse_size(written) == size


@pytest.mark.parametrize(
    "value",
    ["", "s", "-1s", "1d", "1e3s", "1 h 30 m", True, None, -1, float("nan"), float("inf"), 10**400, "9" * 400],
)
def test_anything_else_is_no_duration(value: object) -> None:
    with pytest.raises(PydanticCustomError, match="a duration is"):
        parse_duration(value)


@pytest.mark.parametrize("value", ["", "MB", "-1MB", "1TB", "1Bi", 1.5, True, None, -1])
def test_anything_else_is_no_size(value: object) -> None:
    with pytest.raises(PydanticCustomError, match="a size is"):
        parse_size(value)


@given(st.integers(0, 10**9))
def test_a_written_duration_reads_the_same(milliseconds: int) -> None:
    seconds = milliseconds / 1000

    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds)


@given(st.integers(0, 2**40))
def test_a_written_size_reads_the_same(size: int) -> None:
    assert parse_size(format_size(size)) == size
