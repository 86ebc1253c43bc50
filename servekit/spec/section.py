"""What all sections of the spec have in common."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

__all__ = ["Section"]


class Section(BaseModel):
    """A part of the spec: unchangeable, and strict about its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _read_an_empty_section_as_its_defaults(cls, value: Any) -> Any:
        # YAML reads a key whose lines are all commented out as null.
        return {} if value is None else value
