"""What engines of several versions say, taken from them as it is."""

import pytest
from docker.errors import APIError, ImageNotFound

from servekit.errors import ContainerError, ImageError, ListenError, ServekitError, UsageError
from servekit_cli.container.faults import explain_refusal
from servekit_cli.container.options import RunOptions
from servekit_cli.container.request import ContainerRequest, Publication

REQUEST = ContainerRequest("name", "my-model", {}, {}, Publication(5000, "10.0.0.9", 5000), RunOptions())


def explain(said: str, holder: str | None = None) -> ServekitError:
    return explain_refusal(APIError("500 Server Error", explanation=said), REQUEST, holder)


@pytest.mark.parametrize(
    "said",
    [
        (
            "driver failed programming external connectivity on endpoint x (0b): Error starting userland proxy: "
            "listen tcp4 0.0.0.0:5000: bind: address already in use"
        ),
        (
            "driver failed programming external connectivity on endpoint x (0b): Bind for 0.0.0.0:5000 failed: "
            "port is already allocated"
        ),
        (
            "failed to set up container networking: driver failed programming external connectivity on endpoint x: "
            "failed to bind host port for 0.0.0.0:5000:172.17.0.2:5000/tcp: address already in use"
        ),
        "rootlessport listen tcp 0.0.0.0:5000: bind: address already in use",
    ],
)
def test_a_port_that_is_taken(said: str) -> None:
    error = explain(said, "other")

    assert isinstance(error, ListenError)
    assert "Port 5000 is taken: the container other has it." in str(error)


def test_a_port_that_another_program_has() -> None:
    assert "another program has it" in str(explain("address already in use"))


@pytest.mark.parametrize(
    "said",
    [
        "Error starting userland proxy: listen tcp4 10.0.0.9:5000: bind: cannot assign requested address",
        "failed to bind host port for 10.0.0.9:5000:172.17.0.2:5000/tcp: cannot assign requested address",
    ],
)
def test_an_address_that_is_not_the_hosts(said: str) -> None:
    error = explain(said)

    assert isinstance(error, ListenError)
    assert "10.0.0.9 is not an address of the engine's host" in str(error)


@pytest.mark.parametrize(
    "said",
    [
        "error while calling PortManager.AddPort(): cannot expose privileged port 80",
        "failed to bind host port for 0.0.0.0:80:172.17.0.2:5000/tcp: permission denied",
    ],
)
def test_a_port_that_takes_rights(said: str) -> None:
    error = explain(said)

    assert isinstance(error, ListenError)
    assert "may not listen" in str(error)


@pytest.mark.parametrize(
    "said",
    [
        'could not select device driver "" with capabilities: [[gpu]]',
        "failed to inject CDI devices: unresolvable CDI devices nvidia.com/gpu=all",
    ],
)
def test_no_gpus_to_give(said: str) -> None:
    error = explain(said)

    assert isinstance(error, ContainerError)
    assert "no NVIDIA container toolkit" in str(error)


def test_a_gpu_that_does_not_work() -> None:
    error = explain("nvidia-container-cli: device error: 7: unknown device: unknown")

    assert isinstance(error, ContainerError)
    assert "nvidia-smi" in str(error)


def test_a_mount_of_nothing() -> None:
    error = explain('invalid mount config for type "bind": bind source path does not exist: /data')

    assert isinstance(error, UsageError)
    assert "/data" in str(error)


def test_an_image_that_went_away() -> None:
    error = explain_refusal(ImageNotFound("404", explanation="No such image: my-model"), REQUEST, None)

    assert isinstance(error, ImageError)


def test_anything_else_is_told_in_the_engines_words() -> None:
    error = explain("the moon is in the wrong phase")

    assert isinstance(error, ContainerError)
    assert str(error) == "The container could not be started: the moon is in the wrong phase"
