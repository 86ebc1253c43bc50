"""What a container prints that runs one command to its end."""

from servekit_cli.engine import Engine

__all__ = ["read_output"]


def read_output(engine: Engine, image: str, *command: str) -> str:
    """Run a command in a container of an image, without a network, and return what it printed to stdout.

    The log is read when the container has ended: older engines may miss what one that ends at once has printed.
    """
    container = engine.client.containers.create(image, list(command), network_mode="none")
    try:
        container.start()
        code = container.wait()["StatusCode"]
        assert code == 0, container.logs().decode()
        output: bytes = container.logs(stderr=False)
        return output.decode()
    finally:
        container.remove(force=True)
