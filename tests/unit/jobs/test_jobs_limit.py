"""The number of rows at a time that a server bears, against servers made of a formula."""

from servekit.jobs.limit import AdaptiveLimit


class Server:
    """Serves so many at a time, each in a tenth of a second; more have to wait, and beyond a limit are refused."""

    def __init__(self, limit: AdaptiveLimit, slots: int, most: int = 1_000) -> None:
        self.limit = limit
        self.slots = slots
        self.most = most
        self.now = 0.0
        self.seen: list[int] = []

    def serve(self, rounds: int) -> "Server":
        for _ in range(rounds):
            running = self.limit.current
            self.seen.append(running)
            seconds = 0.1 * max(1.0, running / self.slots)
            self.now += seconds
            for place in range(running):
                if place < self.most:
                    self.limit.record(self.now, seconds, running)
                else:
                    self.limit.refuse(self.now, 0.01, running)
        return self


def test_it_climbs_to_what_a_server_can_do_at_a_time() -> None:
    server = Server(AdaptiveLimit(64), slots=16).serve(400)

    assert 12 <= server.limit.current <= 24


def test_it_never_exceeds_the_greatest_number() -> None:
    server = Server(AdaptiveLimit(10), slots=1_000).serve(200)

    assert max(server.seen) == 10


def test_refusals_keep_it_near_the_number_that_is_not_refused() -> None:
    server = Server(AdaptiveLimit(64), slots=1_000, most=8).serve(400)

    assert 4 <= sum(server.seen[200:]) / 200 <= 9


def test_refusals_that_were_on_their_way_count_once() -> None:
    limit = AdaptiveLimit(64)
    for _ in range(30):
        limit.refuse(10.0, 0.5, 4)

    assert limit.current == 2


def test_one_row_is_always_let_through() -> None:
    limit = AdaptiveLimit(64)
    for second in range(100):
        limit.refuse(float(second), 0.5, 1)

    assert limit.current == 1


def test_it_recovers_from_refusals() -> None:
    limit = AdaptiveLimit(64)
    limit.refuse(0.0, 0.1, 4)
    server = Server(limit, slots=16)
    server.now = 1.0

    assert server.serve(400).limit.current >= 8


def test_nothing_is_learned_where_rows_are_too_few_to_fill_it() -> None:
    limit = AdaptiveLimit(64)
    for second in range(1_000):
        limit.record(float(second), 0.1, 1)

    assert limit.current == 4
