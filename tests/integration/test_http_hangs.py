"""What probes say while workers are blocked, and that they say it at once."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from serving import StartServer, wait_until

# One call of C that holds the GIL until somebody writes into the named pipe.
BLOCKING = """
    import ctypes, os

    class Predictor:
        def predict(self, gate: str = "") -> str:
            if gate:
                ctypes.PyDLL(None).read(os.open(gate, os.O_RDWR), ctypes.create_string_buffer(1), 1)
            return gate

        def healthcheck(self) -> bool:
            return True
"""


def open_pipe(path: Path) -> int:
    os.mkfifo(path)
    return os.open(path, os.O_RDWR)


def test_probes_tell_of_blocked_workers_without_waiting_for_them(start_server: StartServer) -> None:
    server = start_server(BLOCKING, workers=2)
    wait_until(lambda: sum(line["event"] == "worker ready" for line in server.log) == 2)

    names = ["first", "second"]
    gates = [open_pipe(server.root / name) for name in names]

    with server.client() as client, ThreadPoolExecutor(2) as others:

        def post(gate: str) -> httpx.Response:
            return client.post("/predictions", json={"input": {"gate": gate}})

        def get(path: str) -> httpx.Response:
            return client.get(path, timeout=2)  # a worker is asked for longer

        blocking = [others.submit(post, name) for name in names]
        wait_until(lambda: get("/readyz").status_code == 503)
        ready, health = get("/readyz"), get("/health-check").json()
        assert "no worker answers (worker" in ready.json()["detail"]
        assert "\nservekit_ready 0.0\n" in get("/metrics").text
        assert health["status"] == "UNHEALTHY"
        assert health["user_healthcheck_error"].startswith("no worker answers")
        assert len(ready.json()["blocked"]) == len(health["blocked"]) == 2
        assert get("/livez").status_code == 200

        os.write(gates[0], b".")
        wait_until(lambda: get("/readyz").status_code == 200)
        ready, health = get("/readyz"), get("/health-check").json()
        (blocked,) = ready.json()["blocked"]
        assert (ready.json()["status"], health["status"], blocked["blocked"]) == ("ready", "READY", "loop")
        assert [each["since"] for each in health["blocked"]] == [blocked["since"]]
        assert post("").json()["output"] == ""

        os.write(gates[1], b".")
        assert [each.result().json()["output"] for each in blocking] == names
        wait_until(lambda: get("/readyz").text == '{"status":"ready"}')

    lines = [line for line in server.log if str(line["event"]).startswith("worker blocked")]
    assert blocked["pid"] in [line["pid"] for line in lines]
    assert ['predict.py", line' in line["traceback"] for line in lines] == [True, True]
    wait_until(lambda: sum(line["event"] == "worker answers again" for line in server.log) == 2)  # the log comes later
    for gate in gates:
        os.close(gate)
