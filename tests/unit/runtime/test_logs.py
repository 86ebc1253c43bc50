import contextvars
import io
import sys

import pytest

from servekit.runtime.logs import PredictionSink, routed_output
from servekit.runtime.protocol import Log, Metric, ToServer
from servekit.scope import bind_sink


def run_with(sink: PredictionSink, text: str) -> None:
    def write() -> None:
        bind_sink(sink)
        sys.stdout.write(text)

    contextvars.Context().run(write)


def test_a_write_goes_to_the_sink_of_its_context_and_elsewhere_to_the_stream_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(sys, "stdout", terminal)
    posted: list[ToServer] = []
    with routed_output():
        run_with(PredictionSink(1, posted.append, 1000), "inside")
        sys.stdout.write("outside")

    assert posted == [Log(1, "stdout", "inside")]
    assert terminal.getvalue() == "outside"
    assert sys.stdout is terminal


def test_the_limit_counts_bytes_and_cuts_no_character_in_two() -> None:
    posted: list[ToServer] = []
    sink = PredictionSink(1, posted.append, 5)
    sink.log("stdout", "äää")
    sink.log("stdout", "more")
    sink.close()

    assert posted[0] == Log(1, "stdout", "ää")
    assert isinstance(posted[1], Log)
    assert "6 further bytes were cut" in posted[1].text


def test_after_the_end_output_goes_where_it_went_before(capsys: pytest.CaptureFixture[str]) -> None:
    posted: list[ToServer] = []
    sink = PredictionSink(1, posted.append, 1000)
    sink.close()
    sink.log("stdout", "late")

    assert posted == []
    assert capsys.readouterr().out == "late"


def test_numpy_numbers_and_arrays_are_metrics_like_plain_ones() -> None:
    numpy = pytest.importorskip("numpy")
    posted: list[ToServer] = []
    sink = PredictionSink(1, posted.append, 1000)
    sink.metric("a", numpy.float32(0.5), "replace")
    sink.metric("b", numpy.arange(3), "replace")

    assert posted == [Metric(1, "a", b"0.5", "replace"), Metric(1, "b", b"[0,1,2]", "replace")]


def test_a_metric_that_json_cannot_hold_is_refused() -> None:
    sink = PredictionSink(1, lambda _: None, 1000)

    with pytest.raises(TypeError, match="object"):
        sink.metric("a", object(), "replace")
