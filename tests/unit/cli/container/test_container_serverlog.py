import json

from servekit_cli.container.serverlog import ServerLog


def line(event: str, **values: object) -> bytes:
    return json.dumps({"timestamp": "2026-01-01T00:00:00Z", "level": "info", "event": event, **values}).encode() + b"\n"


def read(*pieces: bytes) -> tuple[ServerLog, str]:
    shown: list[str] = []
    log = ServerLog(shown.append)
    for piece in pieces:
        log.feed("stderr", piece)
    log.close()
    return log, "".join(shown)


def test_what_the_model_prints_is_shown_and_what_the_server_says_is_not() -> None:
    _, shown = read(line("Listening"), line("loading", worker=1, source="stdout"), line("worker ready"))

    assert shown == "loading\n"


def test_what_is_no_line_of_the_server_is_shown_as_it_is() -> None:
    _, shown = read(b'Fatal Python error\n{"timestamp" is no JSON\n{"level":"info"}\n')

    assert shown == 'Fatal Python error\n{"timestamp" is no JSON\n{"level":"info"}\n'


def test_lines_and_characters_may_come_in_pieces() -> None:
    whole = line("größer", source="stderr")
    middle = whole.index("ö".encode()) + 1 if "ö".encode() in whole else 20

    _, shown = read(whole[:middle], whole[middle:])

    assert shown == "größer\n"


def test_a_character_may_be_cut_in_two() -> None:
    text = "Größe\n".encode()

    _, shown = read(text[:3], text[3:])

    assert shown == "Größe\n"


def test_the_two_sources_do_not_mix() -> None:
    shown: list[str] = []
    log = ServerLog(shown.append)
    log.feed("stdout", b"one ")
    log.feed("stderr", b"two\n")
    log.feed("stdout", b"three\n")

    assert shown == ["two\n", "one three\n"]


def test_a_line_without_an_end_is_taken_at_the_end() -> None:
    log, shown = read(b"last words")

    assert shown == "last words\n"
    assert log.tail == "last words"


def test_a_line_that_never_ends_is_passed_on_in_pieces() -> None:
    shown: list[str] = []
    ServerLog(shown.append).feed("stdout", b"x" * 100_000)

    assert "".join(shown).count("x") == 100_000


def test_deaths_of_workers_are_kept() -> None:
    log, _ = read(line("worker died", level="error", reason="killed by SIGKILL"))

    assert log.deaths == ["killed by SIGKILL"]


def test_the_tail_has_the_last_lines_and_what_the_server_complained_of() -> None:
    log, _ = read(b"old\n" * 100, line("setup failed", level="error", traceback="Traceback:\n  boom"), line("fine"))

    assert log.tail.splitlines()[-3:] == ["setup failed", "Traceback:", "  boom"]
    assert len(log.tail.splitlines()) == 20
