"""Webhooks when the server ends."""

import signal
from collections.abc import Iterator

import pytest
from receiver import Receiver, run_receiver
from serving import Server, StartServer
from webhook_client import CODE, WebhookClient, has


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver() as receiver:
        yield receiver


def begin_to_stop(server: Server) -> None:
    server.process.send_signal(signal.SIGTERM)
    server.wait_for(lambda line: line["event"].startswith("shutting down"))


def test_a_shutdown_waits_for_predictions_and_for_their_last_webhook(
    start_server: StartServer, receiver: Receiver
) -> None:
    server = start_server(CODE, webhook={"allow_private": True})
    client = WebhookClient(server, receiver)
    client.ask("drained", "wait:gate yield:a", "completed")
    receiver.answers["/drained"] = [503, 503]
    begin_to_stop(server)
    client.open("gate")

    assert server.wait() == 0
    assert [post.prediction["output"] for post in receiver.at("/drained")] == [["a"]] * 3


def test_a_shutdown_does_not_wait_longer_than_its_grace_for_a_receiver(
    start_server: StartServer, receiver: Receiver
) -> None:
    server = start_server(CODE, isolation="thread", webhook={"allow_private": True}, shutdown_grace="500ms")
    client = WebhookClient(server, receiver)
    receiver.hold("/dead")
    client.ask("dead", "yield:a", "completed")
    client.wait("dead", has("completed"))

    assert server.stop() == 0
    (line,) = [line for line in server.log if line["level"] == "error"]
    assert (line["prediction"], "shut down" in line["reason"]) == ("dead", True)


def test_what_the_grace_is_too_short_for_is_told_as_canceled(start_server: StartServer, receiver: Receiver) -> None:
    server = start_server(CODE, isolation="thread", webhook={"allow_private": True}, shutdown_grace="0s")
    client = WebhookClient(server, receiver)
    client.ask("cut", "wait:never")
    client.wait("cut", has("start"))

    assert server.stop() == 0
    assert [(post.event, post.prediction["status"]) for post in receiver.at("/cut")][1:] == [("completed", "canceled")]


def test_a_second_signal_waits_for_no_receiver_and_says_what_is_lost(
    start_server: StartServer, receiver: Receiver
) -> None:
    server = start_server(CODE, isolation="thread", webhook={"allow_private": True})
    client = WebhookClient(server, receiver)
    receiver.hold("/dead")
    client.ask("dead", "yield:a", "completed")
    client.wait("dead", has("completed"))
    begin_to_stop(server)
    server.wait_for(lambda line: line["event"] == "waiting for the last webhooks")

    assert server.stop() == 1
    assert [line["prediction"] for line in server.log if line["level"] == "error"] == ["dead"]
