"""The metrics of real servers, as a scraper reads them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from prometheus_text import Samples, parse_metrics, read_samples
from serving import Server, StartServer, wait_until

MODEL = """
    import os
    import re
    import signal
    import time
    from pathlib import Path

    class Predictor:
        def predict(self, act: str = "", gate: str = "") -> str:
            if gate:
                Path(gate + ".begun").touch()
                while not Path(gate).exists():
                    time.sleep(0.01)
            if act == "raise":
                raise ValueError("no")
            if act == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if act == "block":  # holds the interpreter's lock for longer than anybody waits
                Path("blocked").touch()
                re.match("(a+)+b", "a" * 60)
            return "done"
"""


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    return start_server(MODEL, queue={"max": 1}, log_level="debug")


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def scrape(client: httpx.Client) -> Samples:
    response = client.get("/metrics")
    assert response.status_code == 200
    return read_samples(response.text)


def find_changes(before: Samples, after: Samples, *names: str) -> dict[tuple[str, ...], float]:
    return {
        key: value - before.get(key, 0.0)
        for key, value in after.items()
        if key[0] in names and value != before.get(key, 0.0)
    }


def predict(client: httpx.Client, act: str = "", gate: str = "", **headers: str) -> httpx.Response:
    return client.post("/predictions", json={"input": {"act": act, "gate": gate}}, headers=headers)


COUNTERS = ("servekit_predictions_total", "servekit_refused_requests_total")


@pytest.mark.parametrize(("act", "status"), [("", "succeeded"), ("raise", "failed")])
def test_a_prediction_is_counted_by_the_time_of_its_answer(client: httpx.Client, act: str, status: str) -> None:
    before = scrape(client)

    assert predict(client, act).json()["status"] == status

    after = scrape(client)
    assert find_changes(before, after, *COUNTERS) == {("servekit_predictions_total", status): 1}
    for name in ("duration_seconds", "queue_time_seconds", "predict_time_seconds"):
        labels = (status,) if name == "duration_seconds" else ()
        count = f"servekit_prediction_{name}_count"
        assert find_changes(before, after, count) == {(count, *labels): 1}


def test_slots_queue_refusals_and_cancels_are_counted(server: Server, client: httpx.Client) -> None:
    before = scrape(client)
    running = predict(client, gate="slots", prefer="respond-async").json()["id"]
    wait_until((server.root / "slots.begun").exists)
    waiting = predict(client, prefer="respond-async").json()["id"]

    refused = predict(client)
    during = scrape(client)
    client.post(f"/predictions/{waiting}/cancel")
    (server.root / "slots").touch()
    wait_until(lambda: client.get(f"/predictions/{running}").json()["status"] == "succeeded")

    after = scrape(client)
    assert refused.status_code == 503
    assert [during[f"servekit_{name}",] for name in ("slots", "slots_used", "queue_length", "queue_capacity")] == [
        1, 1, 1, 1,
    ]  # fmt: skip
    assert [after[f"servekit_{name}",] for name in ("slots", "slots_used", "queue_length")] == [1, 0, 0]
    assert find_changes(before, after, *COUNTERS) == {
        ("servekit_predictions_total", "succeeded"): 1,
        ("servekit_predictions_total", "canceled"): 1,
        ("servekit_refused_requests_total", "busy"): 1,
    }


def test_whom_admission_turns_away_is_counted_by_the_reason(start_server: StartServer) -> None:
    server = start_server(MODEL, caller={"max": 2})
    with server.client() as client:
        predict(client, gate="gate", prefer="respond-async")
        wait_until((server.root / "gate.begun").exists)
        impatient = client.post("/predictions", json={"input": {}, "queue_timeout": "20ms"})
        late = client.post("/predictions", json={"input": {}, "timeout": "20ms"})
        waiting = predict(client, prefer="respond-async").json()["id"]
        one_too_many = predict(client)
        (server.root / "gate").touch()
        wait_until(lambda: client.get(f"/predictions/{waiting}").json()["status"] == "succeeded")
        samples = scrape(client)

    assert [each.status_code for each in (impatient, late, one_too_many)] == [503, 200, 429]
    assert late.json()["status"] == "failed"
    assert find_changes({}, samples, *COUNTERS) == {
        ("servekit_predictions_total", "succeeded"): 2,
        ("servekit_predictions_total", "failed"): 1,
        ("servekit_refused_requests_total", "queue"): 1,
        ("servekit_refused_requests_total", "caller_limit"): 1,
    }
    assert samples["servekit_prediction_queue_time_seconds_count",] == 2


@pytest.mark.parametrize("body", ["{", '{"input": {"act": 1}}', '{"inputs": {}}'])
def test_a_request_that_is_at_fault_is_refused_as_invalid(client: httpx.Client, body: str) -> None:
    before = scrape(client)

    assert client.post("/predictions", content=body).status_code in (400, 422)

    assert find_changes(before, scrape(client), *COUNTERS) == {("servekit_refused_requests_total", "invalid"): 1}


def test_what_is_no_request_for_a_prediction_is_not_counted(client: httpx.Client) -> None:
    before = scrape(client)

    assert client.get("/predictions/nobody").status_code == 404
    assert client.delete("/predictions").status_code == 405

    assert find_changes(before, scrape(client), *COUNTERS) == {}


def test_a_killed_worker_is_a_death_by_sigkill_and_a_restart(client: httpx.Client) -> None:
    before = scrape(client)

    assert predict(client, "kill").json()["status"] == "failed"

    dead = ("servekit_worker_deaths_total", "sigkill")
    assert find_changes(before, scrape(client), "servekit_worker_deaths_total") == {dead: 1}
    wait_until(lambda: scrape(client)["servekit_ready",] == 1)
    after = scrape(client)
    assert find_changes(before, after, "servekit_worker_starts_total", "servekit_worker_restarts_total") == {
        ("servekit_worker_starts_total",): 1,
        ("servekit_worker_restarts_total",): 1,
    }
    assert after["servekit_worker_setup_duration_seconds_count",] == after["servekit_worker_starts_total",]
    assert after["servekit_workers", "ready"] == 1


def test_each_worker_has_its_memory_under_its_number(client: httpx.Client) -> None:
    samples = scrape(client)

    sizes = [value for key, value in samples.items() if key[0] == "servekit_worker_memory_bytes"]
    assert len(sizes) == 1
    assert 10_000_000 < sizes[0] < 1_000_000_000


def test_buckets_grow_up_to_the_count(client: httpx.Client) -> None:
    predict(client)

    families = parse_metrics(client.get("/metrics").text)

    samples = families["servekit_prediction_time_to_first_output_seconds"].samples
    buckets = [sample.value for sample in samples if sample.name.endswith("_bucket")]
    counts = [sample.value for sample in samples if sample.name.endswith("_count")]
    assert buckets == sorted(buckets)
    assert [buckets[-1]] == counts


def test_openmetrics_is_spoken_when_it_is_asked_for(client: httpx.Client) -> None:
    accept = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"

    response = client.get("/metrics", headers={"Accept": accept})

    assert response.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert set(parse_metrics(response.text, is_openmetrics=True)) > {"servekit", "servekit_predictions"}


def test_a_scrape_is_logged_as_a_probe(server: Server, client: httpx.Client) -> None:
    assert client.head("/metrics").content == b""

    line = server.wait_for(lambda line: (line.get("method"), line.get("path")) == ("HEAD", "/metrics"))
    assert line["level"] == "debug"


def test_scrapes_are_answered_while_a_worker_holds_its_interpreter(start_server: StartServer) -> None:
    server = start_server(MODEL)
    with server.client() as client:
        predict(client, "block", prefer="respond-async")
        wait_until((server.root / "blocked").exists)

        assert scrape(client)["servekit_slots_used",] == 1


def test_scrapes_are_answered_while_setup_fails(start_server: StartServer) -> None:
    server = start_server("raise RuntimeError('no weights')", ready=False)
    server.wait_for(lambda line: line["level"] == "error")
    with server.client() as client:
        refused = predict(client)
        wait_until(lambda: scrape(client)["servekit_worker_deaths_total", "setup_failed"] > 0)

        samples = scrape(client)

    assert refused.status_code == 503
    assert samples["servekit_ready",] == 0
    assert samples["servekit_setup_failures_total",] > 0
    assert samples["servekit_refused_requests_total", "not_ready"] == 1


def test_scrapes_are_answered_while_the_server_drains(start_server: StartServer) -> None:
    server = start_server(MODEL)
    with ThreadPoolExecutor() as threads, server.client() as client:
        answer = threads.submit(predict, client, gate="drain")
        wait_until((server.root / "drain.begun").exists)
        server.process.terminate()
        server.wait_for(lambda line: line["event"].startswith("shutting down"))

        samples = scrape(client)
        (server.root / "drain").touch()

        assert answer.result().json()["status"] == "succeeded"
    assert (samples["servekit_ready",], samples["servekit_slots_used",]) == (0, 1)


def test_workers_in_threads_have_no_memory_of_their_own(start_server: StartServer) -> None:
    server = start_server(MODEL, isolation="thread")
    with server.client() as client:
        samples = scrape(client)

    assert samples["servekit_workers", "ready"] == 1
    assert not any(key[0] == "servekit_worker_memory_bytes" for key in samples)
