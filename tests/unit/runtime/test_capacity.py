"""How many workers a spec means on a machine, and what each gets of it."""

from pathlib import Path
from typing import Any

import pytest

from servekit.errors import SpecError
from servekit.runtime.capacity import Capacity, plan_capacity
from servekit.runtime.devices import Devices, find_devices
from servekit.runtime.processors import count_cores
from servekit.spec import Spec

FOUR = ("0", "1", "2", "3")


def plan(devices: tuple[str, ...] = (), *, gpu: bool = False, cores: int = 8, **serve: Any) -> Capacity:
    document = {"predictor": "a.py:P", "path": Path("/a/servekit.yaml"), "build": {"gpu": gpu}, "serve": serve}
    return plan_capacity(Spec.model_validate(document), devices=devices, cores=cores, environ={})


def test_one_worker_sees_what_the_server_sees() -> None:
    assert plan(FOUR) == Capacity(1, 1)


def test_auto_means_one_worker_per_core() -> None:
    capacity = plan(workers="auto", cores=6)

    assert (capacity.least, capacity.most) == (6, 6)


def test_auto_means_one_worker_per_gpu_for_a_model_that_needs_one() -> None:
    capacity = plan(FOUR, gpu=True, workers="auto")

    assert (capacity.least, capacity.most) == (4, 4)


def test_auto_means_cores_for_a_model_that_needs_no_gpu() -> None:
    assert plan(FOUR, workers="auto", cores=6).most == 6


@pytest.mark.parametrize(("share", "workers"), [(1, 4), (2, 2), (3, 1), (0.5, 8)])
def test_per_gpu_counts_the_gpus_that_each_worker_takes(share: float, workers: int) -> None:
    assert plan(FOUR, workers="per_gpu", gpus_per_worker=share).most == workers


def test_a_range_keeps_its_ends() -> None:
    capacity = plan(FOUR, workers={"min": 0, "max": "per_gpu"})

    assert (capacity.least, capacity.most) == (0, 4)


def test_a_range_does_not_begin_above_its_end() -> None:
    capacity = plan(workers={"min": 3, "max": "auto"}, cores=2)

    assert (capacity.least, capacity.most) == (2, 2)


def test_all_gpus_are_divided_evenly() -> None:
    assert plan(FOUR, workers=2).gpus_per_worker == 2
    assert plan(FOUR, workers=8).gpus_per_worker == 1


def test_cores_are_divided_among_the_threads_of_numeric_libraries() -> None:
    assert plan(workers=4, cores=8).threads == 2
    assert plan(workers=16, cores=8).threads == 1
    assert plan(FOUR, workers=4, cores=8).threads is None


def test_workers_in_threads_get_no_gpu_of_their_own() -> None:
    assert plan(FOUR, workers=2, isolation="thread").devices == ()


@pytest.mark.parametrize(
    ("serve", "message"),
    [
        ({"workers": "per_gpu"}, "per_gpu takes 1 GPU, and none can be seen"),
        ({"workers": 2, "gpus_per_worker": 2}, "takes 4 GPUs, and none can be seen"),
        ({"gpus_per_worker": 1}, "1 worker with serve.gpus_per_worker: 1 takes 1 GPU"),
    ],
)
def test_gpus_that_are_not_there_are_told(serve: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        plan((), **serve)


def test_each_worker_gets_devices_of_its_own() -> None:
    devices = Devices(FOUR, 2)

    assert [devices.take(), devices.take()] == [("0", "1"), ("2", "3")]


def test_devices_that_were_given_back_are_taken_next() -> None:
    devices = Devices(("0", "1"), 1)
    first, _ = devices.take(), devices.take()
    devices.give_back(first)

    assert devices.take() == first


def test_a_successor_shares_the_devices_that_it_inherits() -> None:
    devices = Devices(("0", "1"), 1)
    _, second = devices.take(), devices.take()

    assert devices.take(second) == second
    assert devices.take() == ("0",)


def test_workers_share_a_device_when_there_are_not_enough() -> None:
    devices = Devices(("0", "1"), 0.5)

    assert [devices.take() for _ in range(4)] == [("0",), ("1",), ("0",), ("1",)]


@pytest.mark.parametrize(
    ("environ", "files", "found"),
    [
        ({}, [], ()),
        ({}, ["nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"], ("0", "1")),
        ({"CUDA_VISIBLE_DEVICES": "2,3"}, ["nvidia0"], ("2", "3")),
        ({"CUDA_VISIBLE_DEVICES": "GPU-8932f937, GPU-5d35"}, [], ("GPU-8932f937", "GPU-5d35")),
        ({"CUDA_VISIBLE_DEVICES": ""}, ["nvidia0"], ()),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, ["nvidia0"], ()),
        ({"CUDA_VISIBLE_DEVICES": "0,-1,1"}, [], ("0",)),
        ({"NVIDIA_VISIBLE_DEVICES": "void"}, ["nvidia0"], ()),
        ({"NVIDIA_VISIBLE_DEVICES": "5,6"}, ["nvidia0", "nvidia1"], ("0", "1")),
    ],
)
def test_devices_are_found_as_cuda_sees_them(
    tmp_path: Path, environ: dict[str, str], files: list[str], found: tuple[str, ...]
) -> None:
    for name in files:
        (tmp_path / name).touch()

    assert find_devices(environ, tmp_path) == found


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "100000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "5000 100000\n"}, 1),
        ({}, None),
    ],
)
def test_a_containers_limit_counts_as_cores(tmp_path: Path, files: dict[str, str], cores: int | None) -> None:
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    assert count_cores(tmp_path) == (count_cores(tmp_path / "nowhere") if cores is None else cores)
