"""Predictions of a Cog project that nobody waits for, and a shutdown that is asked for while they run."""

from collections.abc import Generator
from dataclasses import dataclass

import httpx
import pytest
from cog_projects import serve_cog_project
from receiver import Post, Receiver, run_receiver
from serving import wait_until

CODE = """
    import asyncio
    from pathlib import Path as LocalPath

    from cog import BaseRunner, current_scope

    class Runner(BaseRunner):
        async def run(self, number: int) -> int:
            current_scope().record_metric("number", number)
            LocalPath(f"begun-{number}").touch()
            while not LocalPath("gate").exists():
                await asyncio.sleep(0.005)
            return number
"""
SLOTS = 5
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass(frozen=True)
class Story:
    """What came of it."""

    accepted: list[httpx.Response]
    refused: httpx.Response
    canceled: httpx.Response
    shutdown: httpx.Response
    code: int
    ends: list[Post]


@pytest.fixture(scope="module")
def receiver() -> Generator[Receiver]:
    with run_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def story(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Story:
    root = tmp_path_factory.mktemp("project")
    environment = {"COG_MAX_CONCURRENCY": str(SLOTS), "SERVEKIT_WEBHOOK_ALLOW_PRIVATE": "true"}
    with serve_cog_project(root, CODE, **environment) as server, server.client() as client:
        server.wait_until_ready()
        headers = {"Prefer": "respond-async", "traceparent": TRACE}
        bodies = [
            {"id": f"p{number}", "input": {"number": number}, "webhook": f"{receiver.url}/p{number}"}
            for number in range(SLOTS)
        ]
        accepted = [client.post("/predictions", json=body, headers=headers) for body in bodies]
        wait_until(lambda: all((root / f"begun-{number}").exists() for number in range(SLOTS)))
        refused = client.post("/predictions", json={"input": {"number": SLOTS}})
        canceled = client.post("/predictions/p0/cancel")
        receiver.wait_for_end("/p0")
        shutdown = client.post("/shutdown")
        server.wait_for(lambda line: line["event"].startswith("shutting down"))
        (root / "gate").touch()
        ends = [receiver.wait_for_end(f"/p{number}")[-1] for number in range(SLOTS)]
        return Story(accepted, refused, canceled, shutdown, server.wait(), ends)


def test_as_many_run_as_there_are_slots_and_one_more_is_refused(story: Story) -> None:
    assert [each.status_code for each in story.accepted] == [202] * SLOTS
    assert [each.json() for each in story.accepted] == [{"id": f"p{n}", "status": "starting"} for n in range(SLOTS)]
    assert story.refused.status_code == 409


def test_what_was_canceled_is_told_as_such_and_without_an_error(story: Story) -> None:
    assert story.canceled.status_code == 200
    assert (story.ends[0].prediction["status"], story.ends[0].prediction["error"]) == ("canceled", None)


def test_the_others_finish_although_the_shutdown_was_asked_for(story: Story) -> None:
    assert (story.shutdown.status_code, story.shutdown.json()) == (200, {})
    assert [(post.prediction["status"], post.prediction["output"]) for post in story.ends[1:]] == [
        ("succeeded", number) for number in range(1, SLOTS)
    ]
    assert story.code == 0


def test_each_has_its_own_metrics(story: Story) -> None:
    assert [post.prediction["metrics"]["number"] for post in story.ends] == list(range(SLOTS))


def test_the_trace_of_the_request_is_passed_on(story: Story) -> None:
    assert [post.headers["traceparent"] for post in story.ends] == [TRACE] * SLOTS
