from typing import Any

import pytest

from servekit_cli.container.options import Mount, RunOptions
from servekit_cli.container.request import ContainerRequest, Publication, new_name


def arguments(options: RunOptions | None = None, **more: Any) -> dict[str, Any]:
    publication = more.pop("publication", Publication(5000, "127.0.0.1", 0))
    return ContainerRequest(
        name="name",
        image="sha256:0",
        labels={},
        environment={},
        publication=publication,
        options=options or RunOptions(),
        **more,
    ).arguments()


def test_a_free_port_is_left_to_the_engine() -> None:
    assert arguments()["ports"] == {"5000/tcp": ("127.0.0.1", None)}


def test_a_port_is_published_as_wanted() -> None:
    got = arguments(publication=Publication(8000, "0.0.0.0", 8000))

    assert got["ports"] == {"8000/tcp": ("0.0.0.0", 8000)}


def test_the_engine_removes_what_has_ended() -> None:
    assert arguments()["auto_remove"] is True


def test_a_limit_of_memory_holds_for_swap_as_well() -> None:
    got = arguments(RunOptions(memory_bytes=1000))

    assert (got["mem_limit"], got["memswap_limit"]) == (1000, 1000)


def test_nothing_is_limited_by_itself() -> None:
    assert not {"mem_limit", "nano_cpus", "device_requests", "healthcheck"} & set(arguments())


@pytest.mark.parametrize(
    ("choice", "request_"), [("all", {"Count": -1}), ("auto", {"Count": -1}), ("0,2", {"DeviceIDs": ["0", "2"]})]
)
def test_gpus_are_asked_for_as_docker_does(choice: str, request_: dict[str, Any]) -> None:
    [got] = arguments(RunOptions(gpus=choice), has_gpu=True)["device_requests"]

    assert got["Capabilities"] == [["gpu"]]
    assert request_.items() <= got.items()


def test_mounts_are_of_their_kind() -> None:
    mounts = (Mount("/data", "/in", is_read_only=True), Mount("cache", "/cache", is_read_only=False))

    bind, volume = arguments(RunOptions(mounts=mounts))["mounts"]

    assert (bind["Type"], bind["Source"], bind["Target"], bind["ReadOnly"]) == ("bind", "/data", "/in", True)
    assert (volume["Type"], volume["Source"]) == ("volume", "cache")


def test_a_health_check_can_be_switched_off() -> None:
    assert arguments(checks_health=False)["healthcheck"] == {"test": ["NONE"]}


def test_no_two_names_are_the_same() -> None:
    assert len({new_name("predict") for _ in range(100)}) == 100
