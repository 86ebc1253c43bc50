"""`cog.BaseModel`: the base of outputs with named fields, each subclass of which becomes a dataclass."""

import dataclasses
from typing import Any, ClassVar, dataclass_transform

__all__ = ["BaseModel"]


@dataclass_transform()
class BaseModel:
    """An output with named fields."""

    _is_automatic: ClassVar[bool] = False  # whether it was made a dataclass here

    def __init_subclass__(cls, *, auto_dataclass: bool = True, init: bool = True, **options: Any) -> None:
        """Make a dataclass of a subclass.

        Args:
            auto_dataclass: False leaves that to the author, for this class and those below it.
            init: Whether an `__init__` is made.
            options: What else `dataclasses.dataclass` takes.

        Raises:
            TypeError: The first base is no `BaseModel`, or another one is a dataclass.
            ValueError: The base was made a dataclass, and this one shall not be.
        """
        super().__init_subclass__()
        first, *others = cls.__bases__
        if not issubclass(first, BaseModel):
            message = f'Primary base class of "{cls.__name__}" must inherit from BaseModel; name BaseModel first'
            raise TypeError(message)
        if first._is_automatic and not auto_dataclass:  # noqa: SLF001 - of this very class
            message = (
                f'Primary base class of "{cls.__name__}" ("{first.__name__}") has auto_dataclass=True, '
                f'but "{cls.__name__}" has auto_dataclass=False; give both the same'
            )
            raise ValueError(message)
        if mixed := next((base for base in others if dataclasses.is_dataclass(base)), None):
            message = (
                f'Cannot mixin dataclass "{mixed.__name__}" while inheriting from `BaseModel`; make it a BaseModel'
            )
            raise TypeError(message)
        cls._is_automatic = auto_dataclass
        if auto_dataclass:
            dataclasses.dataclass(init=init, **options)(cls)
