import contextvars
import threading
from pathlib import Path
from typing import Any

import pytest

from servekit.errors import NoScopeError
from servekit.scope import Scope, current_scope, enter_scope


class Sink:
    def __init__(self) -> None:
        self.logs: list[tuple[str, str]] = []
        self.metrics: list[tuple[str, Any, str]] = []

    def log(self, source: str, text: str) -> None:
        self.logs.append((source, text))

    def metric(self, name: str, value: Any, mode: str, *, is_nested: bool = False) -> None:
        self.metrics.append((name, value, mode))


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def scope(sink: Sink, tmp_path: Path) -> Scope:
    return Scope("id", sink=sink, directory=str(tmp_path / "files"), context={"tenant": "a"})


def test_outside_a_prediction_the_error_tells_how_to_carry_the_scope() -> None:
    with pytest.raises(NoScopeError, match=r"servekit\.propagate"):
        current_scope()


def test_the_scope_is_seen_in_its_context_and_not_in_a_new_thread(scope: Scope, sink: Sink) -> None:
    def inside() -> list[object]:
        enter_scope(scope, sink)
        found: list[object] = [current_scope()]

        def look() -> None:
            try:
                found.append(current_scope())
            except NoScopeError:
                found.append("none")

        thread = threading.Thread(target=contextvars.Context().run, args=(look,))
        thread.start()
        thread.join()
        return found

    assert contextvars.copy_context().run(inside) == [scope, "none"]


def test_the_context_cannot_be_changed(scope: Scope) -> None:
    with pytest.raises(TypeError):
        scope.context["tenant"] = "b"  # type: ignore[index]


@pytest.mark.parametrize("name", ["", "a b", "ü", "x" * 129, ".x"])
def test_a_bad_metric_name_is_refused(scope: Scope, name: str) -> None:
    with pytest.raises(ValueError, match="is no metric name"):
        scope.record_metric(name, 1)


def test_a_metric_of_servekit_cannot_be_recorded(scope: Scope) -> None:
    with pytest.raises(ValueError, match="measured by servekit itself"):
        scope.record_metric("predict_time", 1)


def test_only_numbers_are_incremented(scope: Scope) -> None:
    scope.record_metric("name", "a")

    with pytest.raises(TypeError, match="can only be incremented"):
        scope.record_metric("name", 1, mode="increment")


def test_only_lists_are_appended_to(scope: Scope) -> None:
    scope.record_metric("name", "a")

    with pytest.raises(TypeError, match="only a list"):
        scope.record_metric("name", 1, mode="append")


def test_the_temp_dir_is_made_when_it_is_asked_for(scope: Scope, tmp_path: Path) -> None:
    assert not scope.has_files
    assert scope.temp_dir == tmp_path / "files"
    assert scope.temp_dir.is_dir()
    assert scope.has_files


def test_a_temp_dir_that_could_not_be_made_whole_counts_as_used(tmp_path: Path, sink: Sink) -> None:
    (tmp_path / "file").touch()
    scope = Scope("id", sink=sink, directory=str(tmp_path / "file" / "folder"))

    with pytest.raises(OSError, match="folder"):
        _ = scope.temp_dir

    assert scope.has_files


def test_log_adds_a_line(scope: Scope, sink: Sink) -> None:
    scope.log("hello")

    assert sink.logs == [("stdout", "hello\n")]


def test_what_is_attached_to_a_scope_is_made_once_for_each(scope: Scope, sink: Sink) -> None:
    class Notes(list[str]): ...

    scope.attached(Notes).append("a")

    assert scope.attached(Notes) == ["a"]
    assert Scope("other", sink=sink, directory="").attached(Notes) == []
