"""What is refused before anything is started."""

import inspect
from pathlib import Path
from typing import Any

import pytest

from servekit.errors import UsageError
from servekit.spec import SET_FLAG
from servekit_cli.batching.arguments import BatchArguments
from servekit_cli.commands.batch import run

EMPTY: dict[str, Any] = {
    name: None for name, each in inspect.signature(BatchArguments).parameters.items() if each.default is each.empty
}


def make(**given: Any) -> BatchArguments:
    values: dict[str, Any] = {
        **EMPTY,
        "inputs": "in.jsonl",
        "output": "out.jsonl",
        "file": Path(),
        "headers": [],
        "values": [],
        "renames": [],
        "reports": [],
        "concurrency": "auto",
        "retries": 3,
        "tokens": "tokens",
        "is_ordered": True,
    }
    return BatchArguments(**(values | given))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"image": "a", "url": "http://b"}, "both given"),
        ({"file": Path("a"), "url": "http://b"}, "--file names a project"),
        ({"headers": ["A: b"]}, "--header is for requests"),
        ({"headers": ["secret"], "url": "http://b"}, r'got "\.\.\."'),
        ({"url": "http://b", "workers": "2"}, "--workers would have no effect"),
        ({"url": "http://b", "set_values": ["size=2"]}, "--set would have no effect"),
        ({"gpus": "all"}, "--gpus would have no effect"),
        ({"is_forced": True, "resumes": True}, "--force begins anew"),
        ({"retries_failed": True}, "together with --resume"),
        ({"resumes": True, "output": "-"}, "go to stdout"),
        ({"concurrency": "0"}, "--concurrency is"),
        ({"concurrency": "many"}, "--concurrency is"),
        ({"timeout": "1x"}, "--timeout is"),
        ({"timeout": "0"}, "in which no row ends"),
        ({"rate": "fast"}, "--rate"),
        ({"token_rate": "0/s"}, "--token-rate"),
        ({"memory": "0"}, "no row could begin"),
        ({"memory": "2 apples"}, "--memory is"),
        ({"renames": ["a"]}, "INPUT=COLUMN"),
        ({"renames": ["a=b", "c=b"]}, "an earlier --map"),
        ({"reports": ["a.txt"]}, "a report is"),
        ({"reports": ["no/a.html"]}, "cannot be written"),
        ({"merge": "all"}, "known are text"),
        ({"merge": "text", "output": "-"}, "are not kept"),
        ({"inputs": "-", "values": ["text=@-"]}, "both want stdin"),
        ({"setup_timeout": "soon"}, "--setup-timeout is"),
    ],
)
def test_what_is_of_no_use_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make(**given).check()


def test_the_rows_are_not_written_over(tmp_path: Path) -> None:
    rows = tmp_path / "in.jsonl"
    rows.touch()

    with pytest.raises(UsageError, match="from which the rows come"):
        make(inputs=str(rows), output=str(rows)).check()


def test_what_was_given_is_read() -> None:
    arguments = make(concurrency="8", timeout="2m", memory="2GB", rate="5/s", merge="classes", output="a/b.csv")

    assert arguments.job_options() == {
        "concurrency": 8,
        "timeout": 120.0,
        "retries": 3,
        "rate": "5/s",
        "token_rate": None,
        "tokens": "tokens",
        "memory_limit": 2_000_000_000,
        "ordered": True,
    }
    assert str(arguments.read_merge().path) == "a/b.counts.json"  # type: ignore[union-attr] # it was given


def test_settings_and_flags_override_the_spec() -> None:
    assert make(workers="2", set_values=["size=2"]).overrides == {
        "workers": "2",
        "setup_timeout": None,
        SET_FLAG: ["size=2"],
    }


def test_the_help_has_an_example_for_each_place_where_rows_run() -> None:
    assert run.__doc__ is not None
    assert all(flag in run.__doc__ for flag in ("--url", "--image", "--resume", "batch -"))
