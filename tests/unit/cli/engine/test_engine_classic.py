"""Reading what the old builder, and Podman's, say."""

from servekit_cli.engine.classic import ClassicReader
from servekit_cli.engine.events import BuildEvent, StepDone, StepLog, StepProgress, StepStarted


def read(*messages: dict[str, object]) -> list[BuildEvent]:
    reader = ClassicReader()
    return [event for message in messages for event in reader.read(dict(message))]


def test_steps_of_the_old_builder_end_where_the_next_one_begins() -> None:
    events = read(
        {"stream": "Step 1/3 : FROM python:3.12-slim"},
        {"stream": "\n"},
        {"status": "Downloading", "progressDetail": {"current": 5, "total": 9}, "id": "abc"},
        {"stream": " ---> bc78c0f151c0\n"},
        {"stream": "Step 2/3 : RUN echo one"},
        {"stream": "\n"},
        {"stream": " ---> Using cache\n"},
        {"stream": "Step 3/3 : RUN echo two"},
        {"stream": "\n"},
        {"stream": " ---> Running in 1b2c\n"},
        {"stream": "\x1b[91mtw"},
        {"stream": "o\x1b[0m\n\nmore"},
        {"aux": {"ID": "sha256:abc"}},
        {"stream": "Successfully built abc\n"},
    )

    assert events == [
        StepStarted("1/3", "[1/3] FROM python:3.12-slim"),
        StepProgress("1/3", "Downloading abc", 5, 9),
        StepDone("1/3"),
        StepStarted("2/3", "[2/3] RUN echo one"),
        StepDone("2/3", is_cached=True),
        StepStarted("3/3", "[3/3] RUN echo two"),
        StepLog("3/3", "two"),
        StepLog("3/3", ""),
        StepLog("3/3", "more"),
        StepDone("3/3"),
    ]


def test_steps_of_podman_are_read_as_well() -> None:
    events = read(
        {"stream": "STEP 1/2: FROM python:3.12-slim\n"},
        {"stream": "STEP 2/2: RUN false\n"},
        {"stream": "it says\n"},
        {"error": 'building at STEP "RUN false": exit status 1'},
    )

    assert events == [
        StepStarted("1/2", "[1/2] FROM python:3.12-slim"),
        StepDone("1/2"),
        StepStarted("2/2", "[2/2] RUN false"),
        StepLog("2/2", "it says"),
        StepDone("2/2", error='building at STEP "RUN false": exit status 1'),
    ]
