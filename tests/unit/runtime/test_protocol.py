import pytest
from hypothesis import given
from hypothesis import strategies as st

from servekit.runtime.protocol import (
    Completed,
    FrameError,
    FrameReader,
    Outputs,
    Run,
    decode_to_server,
    decode_to_worker,
    encode_frame,
)


def feed(reader: FrameReader, data: bytes, pieces: list[int]) -> None:
    """Hand `data` over in pieces of the given sizes, the rest at once."""
    position = 0
    sizes = iter(pieces)
    while position < len(data):
        buffer = reader.get_buffer()
        count = min(len(buffer), next(sizes, len(data)), len(data) - position)
        buffer[:count] = data[position : position + count]
        position += count
        reader.advance(count)


@given(
    sizes=st.lists(st.integers(0, 200_000), min_size=1, max_size=6),
    pieces=st.lists(st.integers(1, 70_000), max_size=30),
)
def test_frames_come_out_as_they_went_in_however_they_are_cut(sizes: list[int], pieces: list[int]) -> None:
    runs = [Run(key, "id", b"x" * size) for key, size in enumerate(sizes)]
    received: list[object] = []
    reader = FrameReader(lambda frame: received.extend(decode_to_worker(frame)))

    feed(reader, b"".join(bytes(encode_frame([run])) for run in runs), pieces)

    assert received == runs


def test_one_frame_carries_many_messages() -> None:
    messages = [Outputs(1, [b"1", b"2"]), Completed(1, "succeeded", 0.5)]

    frames: list[list[object]] = []
    reader = FrameReader(lambda frame: frames.append([*decode_to_server(frame)]))
    feed(reader, bytes(encode_frame(messages)), [])

    assert frames == [messages]


def test_a_frame_of_impossible_length_is_refused() -> None:
    reader = FrameReader(lambda _: None)

    mark = bytes(encode_frame([])[:4])

    with pytest.raises(FrameError, match="4294967295 bytes was announced"):
        feed(reader, mark + b"\xff\xff\xff\xff", [])


def test_text_is_no_frame_though_its_letters_could_be_a_length() -> None:
    reader = FrameReader(lambda _: None)

    with pytest.raises(FrameError, match="no frame begins with b'Loading the model"):
        feed(reader, b"Loading the model", [])
