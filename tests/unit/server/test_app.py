"""The border of the server: whatever happens, there is an answer and a line of log."""

import json
from typing import Any

import pytest
from logbook import Logbook

from servekit.errors import BusyError, InputError, NotReadyError, ServekitError
from servekit.server.app import Application, AsgiApp, Route
from servekit.server.contract import Contract
from servekit.server.exchange import ClientGoneError, Exchange, Message, Receive, Scope, Send
from servekit.server.problems import Refusal


async def unused(exchange: Exchange) -> None:
    raise AssertionError(exchange)


async def rest(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b"rest"})


async def get_rest() -> AsgiApp:
    return rest


async def ask(logbook: Logbook, path: str, route: Route = unused) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "headers": []}
    await Application(route, {"/livez": route}, get_rest, logbook.log, Contract())(scope, receive, send)
    return sent


def answers(error: Exception) -> Route:
    async def route(exchange: Exchange) -> None:
        exchange.prediction_id = "abc"
        raise error

    return route


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Refusal(404, "no such thing"), 404),
        (BusyError("full", 3), 503),
        (NotReadyError("not yet"), 503),
        (InputError([{"loc": ["input", "n"], "msg": "wrong", "type": "type"}]), 422),
        (ServekitError("hm"), 500),
    ],
)
async def test_an_error_of_ours_is_answered_with_its_status(logbook: Logbook, error: Exception, status: int) -> None:
    start, body = await ask(logbook, "/predictions", answers(error))

    assert start["status"] == status
    assert "detail" in json.loads(body["body"])
    assert logbook.lines[-1]["status"] == status


async def test_a_bug_of_ours_is_a_500_with_the_traceback_in_the_log(logbook: Logbook) -> None:
    start, body = await ask(logbook, "/predictions", answers(ZeroDivisionError("oops")))

    assert start["status"] == 500
    assert json.loads(body["body"]) == {"detail": "the server failed to answer; its log says why"}
    assert "ZeroDivisionError: oops" in logbook.lines[0]["traceback"]


async def test_a_bug_after_the_answer_began_is_logged_and_not_answered_twice(logbook: Logbook) -> None:
    async def route(exchange: Exchange) -> None:
        await exchange.send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError

    sent = await ask(logbook, "/predictions", route)

    assert [message["type"] for message in sent] == ["http.response.start"]
    assert logbook.lines[-1]["status"] == 500


async def test_a_client_that_is_gone_gets_no_answer_and_a_line(logbook: Logbook) -> None:
    sent = await ask(logbook, "/predictions", answers(ClientGoneError()))

    assert sent == []
    assert logbook.lines[-1]["status"] == 499


async def test_a_line_says_what_was_asked_and_how_it_went(logbook: Logbook) -> None:
    await ask(logbook, "/predictions/abc", answers(Refusal(404, "no such thing")))

    (line,) = logbook.lines
    assert list(line) == ["timestamp", "level", "event", "method", "path", "status", "duration", "prediction"]
    assert (line["level"], line["method"], line["path"], line["prediction"]) == (
        "info",
        "POST",
        "/predictions/abc",
        "abc",
    )


async def test_probes_are_logged_at_level_debug(logbook: Logbook) -> None:
    await ask(logbook, "/livez", answers(Refusal(503, "not yet")))

    assert logbook.lines[-1]["level"] == "debug"


@pytest.mark.parametrize("path", ["/", "/predictionsx", "/nothing"])
async def test_other_paths_go_to_the_rest(logbook: Logbook, path: str) -> None:
    start, _ = await ask(logbook, path)

    assert start["status"] == 418
    assert logbook.lines[-1]["status"] == 418


@pytest.mark.parametrize("path", ["/predictions", "/predictions/", "/predictions/x/y"])
async def test_predictions_go_to_their_routes(logbook: Logbook, path: str) -> None:
    start, _ = await ask(logbook, path, answers(Refusal(404, "here")))

    assert start["status"] == 404
