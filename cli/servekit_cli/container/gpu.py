"""Whether a container gets GPUs."""

from servekit_cli.engine import Engine
from servekit_cli.terminal import say

__all__ = ["decide_gpu"]


def decide_gpu(engine: Engine, choice: str, *, is_wanted: bool) -> bool:
    """Decide whether to ask the engine for GPUs.

    Args:
        engine: Who would give them.
        choice: What the user said: `auto`, `all`, `none`, or numbers.
        is_wanted: Whether the image asks for one.

    Raises:
        EngineError: The engine went away.
    """
    if choice != "auto":
        return choice != "none"
    if is_wanted and not _has_gpu(engine):
        say(
            "Note: the image asks for a GPU, and this engine knows of none (no NVIDIA container toolkit); "
            "it runs without.\nIf there is one all the same, say --gpus all."
        )
        return False
    return is_wanted


def _has_gpu(engine: Engine) -> bool:
    with engine.faults():
        known = engine.client.info()
    devices = [str(device.get("ID")) for device in known.get("DiscoveredDevices") or ()]
    return "nvidia" in (known.get("Runtimes") or {}) or any("nvidia.com/gpu" in device for device in devices)
