"""Health, before and after setup."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NoAnswerYet
from typing import Any, Final

from beside.case import Area, Difference
from beside.projects import BROKEN, LIFE, SYNC
from beside.server import Server

AREA: Final = Area("Health")

_NOT_READY: Final = {
    "error": "Setup has not finished yet. Wait until it has finished, or GET /health-check for status.",
    "status": "failed",
}
_SOON_SECONDS: Final = 1.5


def _refusal(server: Server) -> Any:
    answer = server.client.post("/predictions", json={"input": {}})
    return answer.status_code, {key: answer.json().get(key) for key in _NOT_READY}


@AREA.agrees(LIFE, ("STARTING", "starting"))
def during_setup_it_is_starting(server: Server) -> Any:
    server.wait_until_it_answers()
    answer = server.health()
    return answer["status"], answer["setup"]["status"]


@AREA.agrees(LIFE, (503, _NOT_READY))
def during_setup_predictions_are_refused(server: Server) -> Any:
    server.wait_until_it_answers()
    return _refusal(server)


@AREA.agrees(LIFE, ("READY", "succeeded", ["completed_at", "logs", "started_at", "status"]))
def after_setup_it_is_ready(server: Server) -> Any:
    server.make_ready()
    answer = server.health()
    return answer["status"], answer["setup"]["status"], sorted(answer["setup"])


@AREA.agrees(LIFE, ("UNHEALTHY", "Healthcheck failed: user-defined healthcheck returned False"))
def a_healthcheck_says_no(server: Server) -> Any:
    return _while_it(server, "complains", lambda: _complaint(server))


@AREA.agrees(LIFE, ("UNHEALTHY", "Healthcheck failed: RuntimeError: no licence"))
def a_healthcheck_raises(server: Server) -> Any:
    return _while_it(server, "raises", lambda: _complaint(server))


@AREA.agrees(LIFE, "succeeded")
def an_unhealthy_model_still_predicts(server: Server) -> Any:
    return _while_it(server, "complains", lambda: server.predict().json()["status"])


@AREA.differs(
    LIFE,
    Difference(
        "`/health-check` while the model's own check takes its time",
        "waits for it",
        "says what the last check said",
        "a probe with a short time limit must not restart a server that works",
    ),
    cog=False,
    here=True,
)
def a_healthcheck_takes_its_time(server: Server) -> Any:
    with ThreadPoolExecutor(1) as thread:
        return _while_it(server, "hangs", lambda: _ends_soon(thread, server.health))


def _while_it(server: Server, does: str, ask: Callable[[], Any]) -> Any:
    server.make_ready()
    server.tell(does)
    try:
        return ask()
    finally:
        server.untell(does)


def _complaint(server: Server) -> Any:
    answer = server.health()
    return answer["status"], answer.get("user_healthcheck_error")


def _ends_soon(thread: ThreadPoolExecutor, ask: Callable[[], Any]) -> bool:
    try:
        thread.submit(ask).result(_SOON_SECONDS)
    except NoAnswerYet:
        return False
    return True


@AREA.agrees(SYNC, ["BUSY"])
def during_a_prediction_it_is_busy(server: Server) -> Any:
    server.begin("busy", {"do": "wait", "text": "busy"})
    states = {server.health()["status"] for _ in range(5)}
    server.tell("busy")
    return sorted(states)


@AREA.agrees(SYNC, True)
def the_versions_that_clients_read_are_there(server: Server) -> Any:
    return {"coglet", "python", "python_sdk"} <= set(server.health()["version"])


@AREA.agrees(BROKEN, (200, "SETUP_FAILED", "failed"))
def a_failed_setup_is_told(server: Server) -> Any:
    server.wait_for_setup()
    answer = server.client.get("/health-check")
    return answer.status_code, answer.json()["status"], answer.json()["setup"]["status"]


@AREA.differs(
    BROKEN,
    Difference(
        "logs of a setup that failed",
        "the error in one line",
        "what the setup printed, and the traceback",
        "that is what one needs to mend it",
    ),
    cog=[False, False, True],
    here=[True, True, True],
)
def a_failed_setup_has_its_logs(server: Server) -> Any:
    server.wait_for_setup()
    logs = server.health()["setup"]["logs"]
    return [text in logs for text in ("looking for weights", "Traceback", "no weights here")]


@AREA.agrees(BROKEN, (503, _NOT_READY))
def after_a_failed_setup_predictions_are_refused(server: Server) -> Any:
    server.wait_for_setup()
    return _refusal(server)


@AREA.differs(
    BROKEN,
    Difference(
        "probes by status code",
        "none: `/health-check` is always 200",
        "`/readyz` is 503 until predictions are taken, `/livez` is 200",
        "orchestrators probe by status code",
    ),
    cog=[404, 404],
    here=[503, 200],
)
def probes_are_asked_for(server: Server) -> Any:
    server.wait_for_setup()
    return [server.client.get(path).status_code for path in ("/readyz", "/livez")]
