"""`Annotated[T, Opaque]`: an object of JSON into which nobody looks."""

from typing import TYPE_CHECKING, Any, Final, get_args, get_origin

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import core_schema

__all__ = ["Opaque"]


class _Opaque:
    """Stands in an annotation and tells pydantic to leave its type alone."""

    def __get_pydantic_core_schema__(self, source: Any, handler: "GetCoreSchemaHandler") -> "core_schema.CoreSchema":
        """Take any object, or a list of them; a type that is known nowhere is never looked at."""
        from pydantic_core import core_schema  # noqa: PLC0415 - pydantic is imported where it asks for a schema

        members = [each for each in get_args(source) if each is not type(None)]
        is_optional = len(members) < len(get_args(source))
        inner = members[0] if is_optional and len(members) == 1 else source
        schema: core_schema.CoreSchema = core_schema.dict_schema()
        if (get_origin(inner) or inner) is list:
            schema = core_schema.list_schema(schema)
        return core_schema.nullable_schema(schema) if is_optional else schema

    def __repr__(self) -> str:
        return "cog.Opaque"


Opaque: Final = _Opaque()
