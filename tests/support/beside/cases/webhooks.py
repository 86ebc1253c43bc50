"""Webhooks."""

from typing import Any, Final

from beside.case import Area, Difference
from beside.projects import CRASH, STREAM, SYNC
from beside.reading import read_prediction
from beside.server import Server

AREA: Final = Area("Webhooks")

_TRACE: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_YIELDS: Final = 300


@AREA.agrees(SYNC, ["processing", "succeeded"])
def start_and_completed_are_told(server: Server) -> Any:
    server.predict({"do": "call"}, **server.hook("hook-1", "start", "completed"))
    return sorted(post.prediction["status"] for post in server.posts("hook-1", 2))


@AREA.agrees(SYNC, ("hook-2", {"status": "succeeded", "output": {}, "logs": "", "metrics": {}}))
def completed_has_the_whole_prediction(server: Server) -> Any:
    server.predict({"do": "context"}, id="hook-2", **server.hook("hook-2", "completed"))
    (post,) = server.posts("hook-2")
    return post.prediction["id"], read_prediction(post.prediction)


@AREA.agrees(SYNC, ("failed", True))
def a_failure_is_told(server: Server) -> Any:
    server.predict({"do": "fail", "text": "boom"}, **server.hook("hook-3", "completed"))
    (post,) = server.posts("hook-3")
    return post.prediction["status"], post.prediction["error"].endswith("ValueError: boom")


@AREA.agrees(STREAM, [["chunk-0"], ["chunk-0", "chunk-1"]])
def each_output_is_told_with_all_before_it(server: Server) -> Any:
    server.begin("hook-4", {"name": "hook-4", "count": 2}, **server.hook("hook-4", "output"))
    first = server.posts("hook-4", 1)[0].prediction["output"]
    server.tell("hook-4")
    return [first, server.posts("hook-4", 2)[1].prediction["output"]]


@AREA.agrees(STREAM, ["processing", "succeeded"])
def without_a_filter_all_is_told(server: Server) -> Any:
    server.predict({"count": 1}, **server.hook("hook-5"))
    posts = server.posts_of_all("hook-5", "processing", "succeeded")  # Cog's come in any order
    return sorted({post.prediction["status"] for post in posts})


@AREA.agrees(SYNC, 0)
def with_an_empty_filter_nothing_is_told(server: Server) -> Any:
    server.predict({"do": "call"}, **server.hook("hook-6"), webhook_events_filter=[])
    server.predict({"do": "call"}, **server.hook("hook-7", "completed"))
    server.posts("hook-7")
    return len(server.posts_so_far("hook-6"))


@AREA.agrees(SYNC, "first\n")
def the_first_log_is_told_at_once(server: Server) -> Any:
    server.predict({"do": "make", "text": "print('first')"}, **server.hook("hook-15", "logs"))
    return server.posts("hook-15")[0].prediction["logs"]


@AREA.differs(
    SYNC,
    Difference(
        "a line that is printed within half a second of the one before",
        "is not told before the end of the prediction",
        "is told when the half second is over, or the prediction",
        "the latest logs are not older than half a second",
    ),
    cog=["first\n"],
    here=["first\n", "first\nsecond\n"],
)
def logs_are_told_at_intervals(server: Server) -> Any:
    expression = "[print('first'), time.sleep(0.1), print('second')] and 1"
    server.predict({"do": "make", "text": expression}, **server.hook("hook-16", "logs"))
    server.predict({"do": "call"}, **server.hook("hook-17", "completed"))
    server.posts("hook-17")  # by then the others came
    return [post.prediction["logs"] for post in server.posts_so_far("hook-16")]


@AREA.agrees(SYNC, 422)
def an_unknown_event_is_refused(server: Server) -> Any:
    return server.predict({}, **server.hook("hook-8", "nope")).status_code


@AREA.agrees(SYNC, (_TRACE, "a=b"))
def a_trace_is_passed_on(server: Server) -> Any:
    body = {"input": {"do": "call"}, **server.hook("hook-9", "completed")}
    server.send(body, traceparent=_TRACE, tracestate="a=b")
    headers = server.posts("hook-9")[0].headers
    return headers.get("traceparent"), headers.get("tracestate")


@AREA.agrees(SYNC, 3)
def completed_is_tried_again(server: Server) -> Any:
    server.refuse_posts("hook-10", 500, 503)
    server.predict({"do": "call"}, **server.hook("hook-10", "completed"))
    return len(server.posts("hook-10", 3))


@AREA.agrees(SYNC, ("application/json", "Bearer token"))
def a_webhook_has_its_headers(server: Server) -> Any:
    server.predict({"do": "call"}, **server.hook("hook-11", "completed"))
    headers = server.posts("hook-11")[0].headers
    return headers["content-type"], headers.get("authorization")


@AREA.differs(
    SYNC,
    Difference(
        "keys of a webhook",
        "neither input nor times",
        "those of `GET /predictions/{id}`",
        "a receiver passes over what it does not know",
    ),
    cog=[],
    here=["completed_at", "created_at", "input", "started_at"],
)
def a_webhook_has_more_keys(server: Server) -> Any:
    server.predict({"do": "call"}, **server.hook("hook-18", "completed"))
    keys = {"completed_at", "created_at", "input", "started_at"}
    return sorted(keys & server.posts("hook-18")[0].prediction.keys())


@AREA.differs(
    SYNC,
    Difference("`User-Agent` of a webhook", "`coglet/…`", "`servekit/…`", "it is another sender"),
    cog="coglet",
    here="servekit",
)
def a_webhook_has_a_user_agent(server: Server) -> Any:
    server.predict({"do": "call"}, **server.hook("hook-14", "completed"))
    return server.posts("hook-14")[0].headers["user-agent"].partition("/")[0]


@AREA.differs(
    STREAM,
    Difference(
        f"the order of webhooks, for {_YIELDS} outputs",
        "mixed up",
        "kept, and each has its number in a header",
        "a receiver can show the latest one",
    ),
    cog=(False, False),
    here=(True, True),
)
def webhooks_come_in_order(server: Server) -> Any:
    server.predict({"count": _YIELDS}, **server.hook("hook-12", "output", "completed"))
    posts = server.posts_to_end("hook-12")
    sizes = [len(post.prediction["output"]) for post in posts]
    return sizes == sorted(sizes), all("servekit-webhook-sequence" in post.headers for post in posts)


@AREA.differs(
    SYNC,
    Difference(
        "a webhook that is no URL",
        "the prediction runs, and nobody is told",
        "422",
        "the client finds its mistake at once",
    ),
    cog=200,
    here=422,
)
def a_webhook_is_no_url(server: Server) -> Any:
    return server.predict({"do": "call"}, webhook="not a url").status_code


@AREA.differs(
    CRASH,
    Difference(
        "a webhook, or a file, at a private address",
        "sent, or fetched",
        "422, unless `SERVEKIT_WEBHOOK_ALLOW_PRIVATE` or `SERVEKIT_FETCH_ALLOW_PRIVATE` is `true`",
        "whoever may ask for predictions may not reach the network behind the server",
    ),
    cog=[200, 200],
    here=[422, 422],
)
def private_addresses_are_named(server: Server) -> Any:
    by_file = server.predict({"file": f"{server.files.url}/name.txt"})
    return [server.predict({}, **server.hook("hook-13")).status_code, by_file.status_code]
