"""What a job finds that goes on after another one, whatever the end of that was."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from servekit.errors import UsageError
from servekit_cli.batching.beginning import Beginning, Manner, begin
from servekit_cli.batching.done import restore_order, scan_results
from servekit_cli.batching.journal import load_journal
from servekit_cli.batching.places import OutputPlace, find_place
from servekit_cli.batching.records import Record
from servekit_cli.batching.stopping import Stop


@dataclass
class Rows:
    """A source of rows that are given as texts."""

    texts: list[str]
    can_repeat: bool = True
    name: str = "rows"

    def read(self) -> Iterator[Record]:
        for number, text in enumerate(self.texts, start=1):
            yield Record(number, f"line {number}", text.encode())

    def count(self) -> int:
        return len(self.texts)


@pytest.fixture
def place(tmp_path: Path) -> OutputPlace:
    return find_place(str(tmp_path / "results.jsonl"))


def line(row: int, status: str = "succeeded") -> bytes:
    return json.dumps({"row": row, "status": status}).encode() + b"\n"


def run(beginning: Beginning, *, until: int | None = None, failing: tuple[int, ...] = ()) -> list[int]:
    """Run the rows that are left, and write a result for each; stop after some as a kill would."""
    ran: list[int] = []
    with beginning.results as results:
        for record in beginning.rows_to_run(Stop()):
            ran.append(record.number)
            results.append(line(record.number, "failed" if record.number in failing else "succeeded"))
            results.write(results.take())
            if record.number == until:
                break
    return ran


def start(place: OutputPlace, source: Rows, manner: Manner = "resume", settings: str = "") -> Beginning:
    return begin(place, source, settings, manner)


@pytest.mark.parametrize("can_repeat", [True, False])
def test_rows_that_are_done_are_not_run_again(place: OutputPlace, can_repeat: bool) -> None:
    source = Rows([*"abcdef"], can_repeat)
    run(start(place, source), until=3)

    assert run(start(place, source)) == [4, 5, 6]
    assert scan_results(place.lines).count == 6


@pytest.mark.parametrize("can_repeat", [True, False])
def test_rows_that_were_read_and_are_not_done_are_run(place: OutputPlace, can_repeat: bool) -> None:
    source = Rows([*"abcdef"], can_repeat)
    run(start(place, source), until=5)
    place.lines.write_bytes(line(2) + line(5))  # as of a run without order

    assert run(start(place, source)) == [1, 3, 4, 6]


def test_a_line_that_a_kill_has_torn_is_cut_off_and_its_row_run_again(place: OutputPlace) -> None:
    source = Rows([*"abcd"])
    run(start(place, source), until=3)
    place.lines.write_bytes(place.lines.read_bytes()[:-4])

    assert run(start(place, source)) == [3, 4]
    assert place.lines.read_bytes() == b"".join(map(line, (1, 2, 3, 4)))


@pytest.mark.parametrize("can_repeat", [True, False])
@pytest.mark.parametrize("texts", [[*"axcdef"], [*"ab"], []])
def test_another_input_is_refused_before_any_of_its_rows_is_run(
    place: OutputPlace, texts: list[str], can_repeat: bool
) -> None:
    run(start(place, Rows([*"abcdef"])), until=3)
    beginning = start(place, Rows(texts, can_repeat))

    with beginning.results, pytest.raises(UsageError, match=r"not what the job began with"):
        next(beginning.rows_to_run(Stop()))


def test_rows_that_were_added_at_the_end_are_run(place: OutputPlace) -> None:
    run(start(place, Rows([*"abc"])))

    assert run(start(place, Rows([*"abcde"]))) == [4, 5]


def test_a_kill_early_in_the_second_run_does_not_make_the_third_forget_what_was_read(place: OutputPlace) -> None:
    run(start(place, Rows([*"abcdef"])), until=5)
    place.lines.write_bytes(line(5))
    run(start(place, Rows([*"abcdef"])), until=1)

    journal = load_journal(place.journal)

    assert journal is not None
    assert journal.rows == 5


def test_failed_rows_are_run_again_when_that_is_asked_for(place: OutputPlace) -> None:
    source = Rows([*"abcdef"])
    run(start(place, source), failing=(2, 5))

    assert run(start(place, source)) == []
    assert run(start(place, source, "retry-failed")) == [2, 5]


def test_results_of_rows_that_were_run_again_are_put_into_order(place: OutputPlace) -> None:
    place.lines.write_bytes(b"".join(map(line, (1, 3, 4, 6, 2, 5))))

    restore_order(place.lines)

    assert place.lines.read_bytes() == b"".join(map(line, range(1, 7)))


def test_results_that_are_there_are_refused_without_a_word_about_them(place: OutputPlace) -> None:
    place.path.write_bytes(b"mine")

    with pytest.raises(UsageError, match=r"is there already"):
        start(place, Rows([]), "new")


def test_a_job_that_was_begun_is_refused_with_the_ways_to_go_on(place: OutputPlace) -> None:
    run(start(place, Rows([*"ab"])), until=1)

    with pytest.raises(UsageError, match=r"--resume"):
        start(place, Rows([*"ab"]), "new")


def test_results_without_a_journal_cannot_be_resumed(place: OutputPlace) -> None:
    place.path.write_bytes(line(1))

    with pytest.raises(UsageError, match="nothing to resume"):
        start(place, Rows([*"ab"]))


def test_an_empty_file_is_nobodys_loss(place: OutputPlace) -> None:
    place.path.touch()

    assert run(start(place, Rows([*"ab"]), "new")) == [1, 2]


def test_force_begins_anew(place: OutputPlace) -> None:
    run(start(place, Rows([*"ab"])))

    assert run(start(place, Rows([*"xyz"]), "force")) == [1, 2, 3]


def test_other_values_for_all_rows_are_refused(place: OutputPlace) -> None:
    run(start(place, Rows([*"ab"]), settings="-i a=1"), until=1)

    with pytest.raises(UsageError, match="not as they were"):
        start(place, Rows([*"ab"]), settings="-i a=2")


def test_a_file_that_holds_something_else_is_left_alone(place: OutputPlace) -> None:
    run(start(place, Rows([*"ab"])), until=1)
    place.lines.write_bytes(b"not a result\n")

    with pytest.raises(UsageError, match="line 1 that is no result"):
        start(place, Rows([*"ab"]))

    assert place.lines.read_bytes() == b"not a result\n"


def test_a_damaged_journal_is_refused(place: OutputPlace) -> None:
    place.journal.write_bytes(b"")

    with pytest.raises(UsageError, match="damaged"):
        start(place, Rows([]))


def test_two_jobs_do_not_write_to_one_file(place: OutputPlace) -> None:
    with start(place, Rows([])).results, pytest.raises(UsageError, match="Another job writes"):
        start(place, Rows([]))


def test_what_can_be_read_once_cannot_be_read_twice_for_failed_rows(place: OutputPlace) -> None:
    with pytest.raises(UsageError, match="can be read once"):
        start(place, Rows([], can_repeat=False), "retry-failed")


def test_nothing_is_left_of_a_job_that_came_to_nothing(place: OutputPlace, tmp_path: Path) -> None:
    beginning = start(place, Rows([]))
    with beginning.results as results:
        results.write(results.take())

    beginning.clear_if_empty()

    assert list(tmp_path.iterdir()) == []


def test_a_line_that_found_no_room_is_not_left_half_written(
    place: OutputPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    beginning = start(place, Rows([*"ab"]))

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    with beginning.results as results:
        results.append(line(1))
        results.write(results.take())
        results.append(line(2))
        monkeypatch.setattr("servekit_cli.batching.results_file.os.fsync", fail)
        with pytest.raises(OSError, match="No space") as caught:
            results.write(results.take(), is_last=True)

    assert caught.value.filename == str(place.lines)
    assert place.lines.read_bytes().startswith(line(1))
    assert scan_results(place.lines).size == place.lines.stat().st_size


@pytest.mark.parametrize("row", [0, -3, 99_999_999_999])
def test_a_result_of_a_row_that_there_is_not_is_refused(place: OutputPlace, row: int) -> None:
    source = Rows([*"abc"])
    run(start(place, source))
    place.lines.write_bytes(line(1) + line(row))

    with pytest.raises(UsageError, match="results"):
        start(place, source)


def test_the_lines_of_a_table_are_not_gone_on_with_without_their_journal(tmp_path: Path) -> None:
    place = find_place(str(tmp_path / "results.csv"))
    place.lines.write_bytes(line(1))

    with pytest.raises(UsageError, match=r"results.csv.part.jsonl is there without results.csv.journal"):
        start(place, Rows([*"ab"]))
