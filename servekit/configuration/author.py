"""What an author uses: a class that declares, an object that reads, a function and a block that set."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final, NoReturn

from servekit.configuration.overlays import current_overlay, drop_layer, push_layer, uncovered
from servekit.configuration.process import PROCESS
from servekit.errors import SettingsError

__all__ = ["Settings", "configure", "context", "isolated_settings", "settings"]


class Settings:
    """What an author derives from to declare the settings of a process, each an annotation with a default.

        class Tuning(servekit.Settings):
            temperature: float = servekit.Setting(0.7, ge=0, le=2, overridable=True)
            device: str = "cpu"

    The class counts from when its module is imported. A process has one; a class derived from it takes its
    place. An instance, `Tuning()`, holds nothing: it reads the values of now, as `servekit.settings` does, and
    tells type checkers what they are. Types may be any that pydantic knows, and classes of your own; those of
    overridable settings must be what JSON can say.

    A value is shared by all who read it. Use tuples and frozen dataclasses rather than what can be changed.
    """

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        from servekit.configuration.reading import read_declaration  # noqa: PLC0415 - loads pydantic

        PROCESS.declare(read_declaration(cls))

    # Not `__getattr__`, which is asked only after a failed look-up: that costs three times as much.
    def __getattribute__(self, name: str) -> Any:
        overlay = current_overlay()
        if overlay is not None and name in overlay.merged:
            return overlay.merged[name]
        values = PROCESS.values
        if name in values:
            return values[name]
        return object.__getattribute__(self, name)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)  # what copy, inspect and notebooks ask every object for
        try:
            message = PROCESS.require().explain_absence(name)
        except SettingsError as error:
            message = str(error)
        raise AttributeError(message)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        message = f"settings are not assigned to; call servekit.configure({name}=...), or use servekit.context"
        raise AttributeError(message)

    def __dir__(self) -> list[str]:
        declaration = PROCESS.declaration
        return sorted({*object.__dir__(self), *(() if declaration is None else declaration.fields)})

    def __repr__(self) -> str:
        overlay = current_overlay()
        values = {**PROCESS.values, **({} if overlay is None else overlay.merged)}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in values.items())})"


settings: Final[Any] = Settings()
"""The settings as the calling code sees them: `settings.temperature`."""


def configure(**values: Any) -> None:
    """Set settings for the whole process; every thread and task sees them at once.

    All values are checked first, and set together or not at all. Any thread or task may call it; there is
    one warning when a thread changes what another one has set.

    Worker processes that this one has started, as `run_batch` does, get the values too; what is submitted to
    them after the call sees them. Of a value that JSON cannot hold there is a warning: it holds in this process,
    and the predictor's `setup`, which each worker runs, has to configure one for them. What `setup` configures is
    for its own worker.

    Raises:
        SettingsError: A name is not declared, a value does not fit its type, no class is declared, or a prediction
            calls it.
    """
    PROCESS.configure(values)


@contextmanager
def context(**values: Any) -> Generator[None]:
    """Override settings until the block ends, for what runs in this Context: a prediction, a task or a thread.

    Settings that are not named stay live. What follows the Context sees the overlay: tasks made inside,
    `propagate`, `ContextThreadPoolExecutor`, `parallel`, `asyncify`, `async_generator_from_thread`, and `run_batch`,
    in worker processes too. Other threads see the values of the process.

    Python runs the steps of a generator in the Context of whoever steps it. One that servekit steps has a Context
    of its own, so nobody else sees its overlay; one that you step yourself shows it to you between its steps.

    Raises:
        SettingsError: A name is not declared, or a value does not fit its type.
    """
    layer = PROCESS.require().check(values)
    push_layer(layer)
    try:
        yield
    finally:
        drop_layer(layer)


@contextmanager
def isolated_settings() -> Generator[None]:
    """Forget the class, the values and the overlays of this process until the block ends.

    For tests that declare settings of their own.
    """
    with PROCESS.isolated(), uncovered():
        yield
