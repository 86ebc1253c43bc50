"""The kernel's count of processes that it killed for memory, read from made-up folders."""

from pathlib import Path

import pytest

from servekit.runtime.oom import OomKills

V2 = "low 0\nhigh 0\nmax 7\noom 1\noom_kill {}\noom_group_kill 0\n"
V1 = "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n"


class Machine:
    """Control groups below `root`, as a process that lies in `cgroup` sees them."""

    def __init__(self, root: Path, cgroup: str, counter: str, form: str) -> None:
        self._form = form
        self._counter = root / "cgroup" / counter
        self._counter.parent.mkdir(parents=True)
        self.count(0)
        (root / "cgroup-of-process").mkdir()
        (root / "cgroup-of-process" / "cgroup").write_text(cgroup)
        self.kills = OomKills(root / "cgroup-of-process", root / "cgroup")

    def count(self, kills: int) -> None:
        self._counter.write_text(self._form.format(kills))


LAYOUTS = {
    "cgroup v2": ("0::/service\n", "service/memory.events", V2),
    "cgroup v2, in a container": ("0::/../../outside\n", "memory.events", V2),
    "cgroup v2, in a namespace": ("0::/\n", "memory.events", V2),
    "cgroup v1": ("4:memory:/service\n0::/\n", "memory/service/memory.oom_control", V1),
    "cgroup v1, several controllers": ("4:cpu,memory:/service\n", "memory/service/memory.oom_control", V1),
    "cgroup v1, in a container": ("4:memory:/docker/0123\n0::/\n", "memory/memory.oom_control", V1),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_kill_is_taken_once(tmp_path: Path, layout: str) -> None:
    machine = Machine(tmp_path, *LAYOUTS[layout])

    assert machine.kills.take() is False
    machine.count(1)
    assert [machine.kills.take(), machine.kills.take()] == [True, False]


def test_two_kills_count_for_two_deaths(tmp_path: Path) -> None:
    machine = Machine(tmp_path, *LAYOUTS["cgroup v2"])

    machine.count(2)

    assert [machine.kills.take() for _ in range(3)] == [True, True, False]


def test_kills_from_before_the_start_do_not_count(tmp_path: Path) -> None:
    machine = Machine(tmp_path, *LAYOUTS["cgroup v2"])
    machine.count(5)

    later = OomKills(tmp_path / "cgroup-of-process", tmp_path / "cgroup")

    assert later.take() is False


@pytest.mark.parametrize("cgroup", [None, "", "0::/service\n", "4:memory:/service\n"])
def test_without_a_counter_nothing_is_known(tmp_path: Path, cgroup: str | None) -> None:
    if cgroup is not None:
        (tmp_path / "cgroup").write_text(cgroup)

    assert OomKills(tmp_path, tmp_path / "nowhere").take() is None
