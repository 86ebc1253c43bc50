"""Output files that go to `--upload-url`."""

from typing import Any, Final

from beside.case import Area, Difference
from beside.projects import UPLOADS
from beside.server import Server

AREA: Final = Area("Uploads")


def _make(server: Server, *names: str, form: str = "list") -> Any:
    body = server.predict({"names": list(names), "form": form}).json()
    return body["output"] if body["status"] == "succeeded" else body["status"]


def _own(server: Server, url: str) -> str:
    return url.replace(f"{server.files.url}/{server.side}", "")


@AREA.agrees(UPLOADS, "/uploads/one.txt")
def a_file_is_its_url(server: Server) -> Any:
    return _own(server, _make(server, "one.txt", form="one"))


@AREA.agrees(UPLOADS, [("text/plain", b"0 sent.txt")])
def a_file_is_put_with_its_type(server: Server) -> Any:
    _make(server, "sent.txt", form="one")
    path = f"/{server.side}/uploads/sent.txt"
    return [(kind, content) for name, kind, content in server.files.uploads if name == path]


@AREA.agrees(UPLOADS, "https://cdn.example/moved.txt")
def a_receiver_may_say_where_the_file_is(server: Server) -> Any:
    return _make(server, "moved.txt", form="one")


@AREA.agrees(UPLOADS, ["/uploads/single.txt"])
def a_list_of_one_file_is_a_list(server: Server) -> Any:
    return [_own(server, url) for url in _make(server, "single.txt")]


@AREA.differs(
    UPLOADS,
    Difference(
        "a list of files",
        "in the order in which the uploads ended",
        "in the order of the model's list",
        "the first file of the output is the first one that the model gave",
    ),
    cog=["/uploads/quick.txt", "/uploads/slow.txt"],
    here=["/uploads/slow.txt", "/uploads/quick.txt"],
)
def a_list_of_files(server: Server) -> Any:
    return [_own(server, url) for url in _make(server, "slow.txt", "quick.txt")]


@AREA.differs(
    UPLOADS,
    Difference(
        "a file inside of a dict or a model",
        "comes as a data URL",
        "is uploaded as well",
        "whoever has files uploaded does not want them in the answer",
    ),
    cog="data:text/plain;base64,MCBuZXN0ZWQudHh0",
    here="/uploads/nested.txt",
)
def a_file_is_in_a_dict(server: Server) -> Any:
    return _own(server, _make(server, "nested.txt", form="dict")["file"])


@AREA.differs(
    UPLOADS,
    Difference(
        "two files of one name in a prediction",
        "the second one overwrites the first",
        "the second one gets a name of its own",
        "no output is lost",
    ),
    cog=1,
    here=2,
)
def two_files_have_one_name(server: Server) -> Any:
    return len(set(_make(server, "same.txt", "same.txt")))


@AREA.differs(
    UPLOADS,
    Difference(
        "an upload that is answered 500",
        "fails the prediction",
        "is tried again",
        "a receiver that restarts must not cost a result",
    ),
    cog="failed",
    here="/uploads/flaky.txt",
)
def an_upload_fails_once(server: Server) -> Any:
    return _own(server, _make(server, "flaky.txt", form="one"))


@AREA.agrees(UPLOADS, "failed")
def a_refused_upload_fails_the_prediction(server: Server) -> Any:
    return _make(server, "refused.txt", form="one")
