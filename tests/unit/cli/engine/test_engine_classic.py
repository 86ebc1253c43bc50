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
        {"stream": "[1/2] STEP 1/1: FROM python:3.12-slim AS a\n"},
        {"stream": "[2/2] STEP 1/2: FROM python:3.12-slim\n"},
        {"stream": "[2/2] STEP 2/2: RUN echo it says\n"},
        {"stream": "it says\n"},
        {"stream": "--> Using cache 103068df9f0ae4379ffb5664e1f740f059f5aeb514959d68333dd74d48b38445\n"},
        {"stream": "[2/2] COMMIT docker.io/library/t:1\n"},
        {"stream": "--> 38b331f506c\n"},
        {"stream": "38b331f506c6edb7fe265589447880ad8cfa64f80f835d77040e94dbbbe3cb65\n"},
        {"aux": {"ID": "sha256:38b331f506c6edb7fe265589447880ad8cfa64f80f835d77040e94dbbbe3cb65"}},
    )

    assert events == [
        StepStarted("[1/2] 1/1", "[1/2] [1/1] FROM python:3.12-slim AS a"),
        StepDone("[1/2] 1/1"),
        StepStarted("[2/2] 1/2", "[2/2] [1/2] FROM python:3.12-slim"),
        StepDone("[2/2] 1/2"),
        StepStarted("[2/2] 2/2", "[2/2] [2/2] RUN echo it says"),
        StepLog("[2/2] 2/2", "it says"),
        StepDone("[2/2] 2/2", is_cached=True),
    ]


def test_an_error_ends_the_step_that_it_is_about() -> None:
    events = read(
        {"stream": "STEP 1/1: RUN false\n"},
        {"error": 'building at STEP "RUN false": exit status 1\n'},
    )

    assert events[1:] == [StepDone("1/1", error='building at STEP "RUN false": exit status 1')]
