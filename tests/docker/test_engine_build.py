"""Building, in all three ways, on a real engine."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from containers import read_output

from servekit.errors import ImageBuildError, UsageError
from servekit_cli.engine import BuildRequest, BuildSecret, Engine, build_image, connect, inspect_image, make_view
from servekit_cli.engine.build import build_events
from servekit_cli.engine.client_build import build_by_client
from servekit_cli.engine.events import BuildEvent, BuildFailed, ImageBuilt, StepLog
from servekit_cli.engine.features import Kind
from servekit_cli.engine.steps import Step, Steps
from tests.docker.conftest import TEST_LABELS, MakeImage

FROM = "FROM python:3.12-slim\n"


def collect(kind: Kind, context: Path, dockerfile: str, *, no_cache: bool = False) -> tuple[list[BuildEvent], Steps]:
    (context / "Dockerfile").write_text(dockerfile)
    steps = Steps()
    with connect(kind) as engine:
        events = list(build_events(engine, BuildRequest(context, labels=TEST_LABELS, no_cache=no_cache)))
    for event in events:
        steps.take(event)
    return events, steps


def step_of(steps: Steps, command: str) -> Step:
    return next(step for step in steps.all if step.command == command)


def test_an_image_holds_the_files_of_its_context(
    engine: Engine, make_image: MakeImage, kind: Kind, context: Path
) -> None:
    (context / "folder").mkdir()
    (context / "folder" / "näme with space").write_bytes(b"contents")
    (context / "folder" / "link").symlink_to("näme with space")
    (context / "program").write_text("#!/bin/sh\necho ran\n")
    (context / "program").chmod(0o755)

    image = make_image(FROM + "COPY . /here/\n", kind=kind)

    assert read_output(engine, image, "cat", "/here/folder/link") == "contents"
    assert read_output(engine, image, "/here/program") == "ran\n"
    assert read_output(engine, image, "stat", "-c", "%U", "/here/program") == "root\n"


def test_what_dockerignore_names_is_not_sent(engine: Engine, make_image: MakeImage, kind: Kind, context: Path) -> None:
    (context / ".dockerignore").write_text("# a comment\nsecret*\n!secret-not\n")
    for name in ("kept", "secret", "secret-not"):
        (context / name).write_text("")

    image = make_image(FROM + "COPY . /here/\n", kind=kind)

    assert read_output(engine, image, "sh", "-c", "cd /here && echo *") == "Dockerfile kept secret-not\n"


def test_labels_keep_every_character_and_may_be_long(engine: Engine, make_image: MakeImage, kind: Kind) -> None:
    labels = {
        "test.json": json.dumps({"a": 'quote " back \\ dollar $HOME ${x} line\n ünicode \\" \\$'}, ensure_ascii=False),
        "test.long": json.dumps([{"name": f'p"$\\{number}', "version": "ü"} for number in range(2_800)]),
        "test.empty": "",
    }
    assert len(labels["test.long"]) > 100_000

    image = make_image(FROM, kind=kind, labels=labels)

    facts = inspect_image(engine, image)
    assert {name: facts.labels[name] for name in labels} == labels


def test_a_label_that_no_argument_can_hold_is_refused(make_image: MakeImage) -> None:
    with pytest.raises(ImageBuildError, match="label long would have 130001 bytes"):
        make_image(FROM, labels={"long": "x" * 130_001})


def test_tags_name_the_image(engine: Engine, make_image: MakeImage, kind: Kind, image_name: str) -> None:
    image = make_image(FROM, kind=kind, tags=(image_name, f"{image_name}:v2"))

    facts = inspect_image(engine, f"{image_name}:v2")
    assert facts.id == image
    assert {f"{image_name}:latest", f"{image_name}:v2"} <= set(facts.names)


def test_build_args_and_the_network_are_passed(engine: Engine, make_image: MakeImage, kind: Kind) -> None:
    dockerfile = FROM + "ARG WHAT\nRUN echo $WHAT $(tail -n +3 /proc/net/dev | wc -l) > /said\n"

    image = make_image(dockerfile, kind=kind, build_args={"WHAT": "an arg"}, network="none")

    assert read_output(engine, image, "cat", "/said") == "an arg 1\n"  # the loopback only


def test_the_epoch_dates_the_image(engine: Engine, make_image: MakeImage) -> None:
    if not engine.features.epoch:
        pytest.skip("engines before 24.0, and builds without buildx, take no SOURCE_DATE_EPOCH")

    image = make_image(FROM + "ENV A=1\n", source_date_epoch=1_000_000_000)

    assert inspect_image(engine, image).created.startswith("2001-09-09T01:46:40")


def test_a_second_build_is_cached_unless_it_must_not_be(kind: Kind, context: Path) -> None:
    command = f"RUN echo {context}"
    first, _ = collect(kind, context, FROM + command)

    again, steps = collect(kind, context, FROM + command)
    anew, steps_anew = collect(kind, context, FROM + command, no_cache=True)

    cached, ran = step_of(steps, command).done, step_of(steps_anew, command).done
    assert cached is not None
    assert cached.is_cached
    assert ran is not None
    assert not ran.is_cached
    assert first[-1] == again[-1]
    assert isinstance(anew[-1], ImageBuilt)


def test_each_line_that_a_step_prints_is_an_event(kind: Kind, context: Path) -> None:
    printed = r"printf 'one\ntwo\r2nd\n\033[31mred\033[0m'"

    events, steps = collect(kind, context, f"{FROM}RUN {printed}\n", no_cache=True)

    step = next(step for step in steps.all if "printf" in step.name)
    lines = [event.line for event in events if isinstance(event, StepLog)]
    assert lines == ["one", "2nd", "red"]
    assert list(step.lines) == lines


def test_a_client_that_writes_no_json_is_understood(engine: Engine, context: Path) -> None:
    client = engine.features.client
    if client is None:
        pytest.skip("the docker client here has no BuildKit")
    (context / "Dockerfile").write_text(f"{FROM}RUN echo {context}; echo two; sleep 0.1\nRUN false\n")
    steps = Steps()

    events = list(build_by_client(engine, replace(client, has_rawjson=False), BuildRequest(context)))

    for event in events:
        steps.take(event)
    assert list(step_of(steps, f"RUN echo {context}; echo two; sleep 0.1").lines) == [str(context), "two"]
    assert isinstance(events[-1], BuildFailed)
    assert steps.failed is not None
    assert steps.failed.command == "RUN false"


def test_a_failing_step_is_shown_with_its_output(make_image: MakeImage, kind: Kind) -> None:
    with pytest.raises(ImageBuildError) as caught:
        make_image(FROM + "RUN echo what it said; echo and why; exit 3\n", kind=kind)

    message = str(caught.value)
    assert "This step failed (exit code 3):\n\n    RUN echo what it said; echo and why; exit 3" in message
    assert "    what it said\n    and why" in message


def test_a_dockerfile_that_is_none_is_said_to_be(make_image: MakeImage, kind: Kind) -> None:
    with pytest.raises(ImageBuildError, match=r"could not be built: .*unknown instruction: RUNN"):
        make_image(FROM + "RUNN x\n", kind=kind)


def test_a_base_image_that_is_not_to_be_had_is_named(make_image: MakeImage, kind: Kind) -> None:
    with pytest.raises(ImageBuildError, match=r"no image 127\.0\.0\.1:9/python:3\.99-slim.*cannot be reached"):
        make_image("FROM 127.0.0.1:9/python:3.99-slim\n", kind=kind)


def test_secrets_reach_the_step_and_stay_out_of_the_image(
    engine: Engine, make_image: MakeImage, tmp_path: Path
) -> None:
    if not engine.features.secrets:
        pytest.skip("the docker client here has no BuildKit")
    file = tmp_path / "with, comma"
    file.write_text("from a file")
    secrets = (BuildSecret("one", file=file), BuildSecret("two", value="hunter2-in-value"))
    dockerfile = (
        FROM + "RUN --mount=type=secret,id=one --mount=type=secret,id=two "
        "cat /run/secrets/one /run/secrets/two | sha256sum > /sum\n"
    )

    image = make_image(dockerfile, secrets=secrets)

    history = json.dumps(engine.client.images.get(image).history())
    contents = b"".join(engine.client.images.get(image).save())
    assert read_output(engine, image, "cat", "/sum").startswith("d1654b7c")
    assert "hunter2" not in history
    assert b"hunter2" not in contents
    assert "hunter2" not in repr(secrets)


@pytest.mark.parametrize("kind", ["buildkit", "classic"])
def test_secrets_are_refused_where_they_cannot_be_passed(make_image: MakeImage, kind: Kind) -> None:
    with pytest.raises(UsageError, match=r"secret token cannot be passed.*\n.*buildx"):
        make_image(FROM, kind=kind, secrets=(BuildSecret("token", value="x"),))


def test_a_name_that_is_none_is_refused_before_anything_is_built(engine: Engine, context: Path) -> None:
    request = BuildRequest(context / "missing", tags=("My-Model",))

    with pytest.raises(UsageError, match="capital letters"):
        build_image(engine, request, make_view("quiet"))


def test_a_build_leaves_no_file_behind(make_image: MakeImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))

    make_image(FROM)

    assert list(scratch.iterdir()) == []
