"""What a batch says of each of its inputs."""

import json

from servekit.runtime.prediction import Prediction, Status
from servekit.server.batch.results import show_prediction


def test_a_result_is_the_answer_with_its_index_in_one_line() -> None:
    prediction = Prediction("a", 1, b'{"text":\r\n "x\\n"}')
    prediction.finish(Status.SUCCEEDED, output=b'"y"')

    result = show_prediction(3, prediction)

    assert result.status is Status.SUCCEEDED
    assert b"\n" not in result.text
    assert b"\r" not in result.text
    assert json.loads(result.text) == {"index": 3, **json.loads(prediction.snapshot())}


def test_what_the_worker_finds_wrong_with_an_input_is_told_as_what_the_server_finds() -> None:
    prediction = Prediction("a", 1, b"{}")
    problem = {"loc": ["input", "size", 0], "msg": "expected an even number", "type": "value", "value": 3}
    prediction.finish(Status.FAILED, error="the input does not fit", problems=json.dumps([problem]).encode())

    result = show_prediction(3, prediction)

    assert json.loads(result.text) == {
        "index": 3,
        "status": "failed",
        "error": "input.size.0: expected an even number",
        "id": None,
        "output": None,
        "detail": [{**problem, "loc": ["body", "inputs", 3, "size", 0]}],
    }
