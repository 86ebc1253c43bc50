"""An input that does not fit, in the words of the command line, with how the command is to be written.

The first words of each complaint are those of Cog's command line, which scripts may look for.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from servekit.errors import InputError
from servekit.problems import Problem, show
from servekit_cli.inputs import InputRequest
from servekit_cli.schemas import Schema, accepted_kinds, choices, item_schema, kind_of, property_schema

__all__ = ["explain_input"]

_TRUTH_WORDS: Final = {"yes", "no", "on", "off", "1", "0", "y", "n", "true", "false"}

Path = Sequence[str | int]


def explain_input(error: InputError, request: InputRequest, schema: Schema) -> InputError:
    """Say what is wrong with an input to somebody who gave it by a command.

    Args:
        error: From the check of the input against the schema, or from the predictor's types.
        request: What the command said.
        schema: The JSON Schema of the input.
    """
    unknown = [problem for problem in error.problems if _is_unknown_input(problem)]
    others = [problem for problem in error.problems if not _is_unknown_input(problem)]
    complaints = [_refuse_unknown(unknown, request, schema)] if unknown else []
    complaints += [_explain(problem, request, schema) for problem in others]
    if len(complaints) == 1:
        return InputError(error.problems, complaints[0])
    return InputError(error.problems, "\n- ".join(["input validation failed:", *complaints]))


def _is_unknown_input(problem: Problem) -> bool:
    return problem["type"] == "unknown" and len(_path(problem)) == 1


def _path(problem: Problem) -> list[str | int]:
    return list(problem["loc"][1:])


def _refuse_unknown(problems: Sequence[Problem], request: InputRequest, schema: Schema) -> str:
    names = sorted(str(_path(problem)[0]) for problem in problems)
    known = sorted(schema.get("properties", {}))
    takes = f"valid inputs are: {', '.join(known)}" if known else "model does not accept inputs"
    noun = "unknown input" if len(names) == 1 else "unknown inputs"
    hints = [hint for problem in problems for hint in _hints_at_unknown(problem, request)]
    return f"{noun} {', '.join(map(_quote, names))}; {takes}{_enclose(hints)}"


def _hints_at_unknown(problem: Problem, request: InputRequest) -> Iterator[str]:
    [name] = _path(problem)
    _, _, near = problem["msg"].partition("did you mean ")
    if name == "input" and isinstance(request.base.get("input"), Mapping):
        yield 'leave the wrapper away: --json takes {"name": value, ...} itself'
    elif near:
        yield f"{_quote(name)}: did you mean {near}"


def _explain(problem: Problem, request: InputRequest, schema: Schema) -> str:
    path = _path(problem)
    if not path:
        return f"invalid input: {problem['msg']}"
    place = _quote(".".join(map(str, path)))
    member = _find_schema(path, schema)
    hints = _enclose(list(_find_hints(problem, request, accepted_kinds(member, schema))))
    if problem["type"] == "missing":
        return f"missing required input {place}{hints}"
    reason = next((text for find in _REASONS if (text := find(problem, path, member, schema))), problem["msg"])
    return f"invalid input {place}: {reason}{hints}"


def _find_schema(path: Path, root: Schema) -> Schema:
    schema = root
    for part in path:
        schema = item_schema(schema, root) if isinstance(part, int) else property_schema(schema, root, part)
    return schema


def _refuse_null(problem: Problem, path: Path, member: Schema, root: Schema) -> str | None:
    if problem.get("value", ...) is not None or "null" in accepted_kinds(member, root):
        return None
    *parent, name = path
    has_default = isinstance(name, str) and name not in _find_schema(parent, root).get("required", ())
    return "must not be null" + (" (omit the input to use its default)" if has_default else "")


def _refuse_choice(problem: Problem, _: Path, member: Schema, root: Schema) -> str | None:
    listed = choices(member, root)
    if problem["type"] not in ("choice", "type") or not listed:
        return None
    words = ", ".join(value if isinstance(value, str) else json.dumps(value) for value in listed)
    return f"must be one of: {words}{_got(problem)}"


def _refuse_type(problem: Problem, _: Path, member: Schema, root: Schema) -> str | None:
    kinds = ["string" if kind == "file" else kind for kind in sorted(accepted_kinds(member, root) - {"null", "any"})]
    if problem["type"] != "type" or not kinds or "value" not in problem:
        return None
    value = problem["value"]
    got = "number" if (kind := kind_of(value)) == "integer" else kind
    # Of a long list there is only the beginning, as text.
    is_cut = isinstance(value, str) and ', got "' not in problem["msg"]
    if got in kinds or is_cut:
        return None
    return f"expected {_either(kinds)}, got {got} {show(value)}"


def _refuse_size(problem: Problem, *_: object) -> str | None:
    return problem["msg"].replace("expected", "number must be", 1) if problem["type"] == "range" else None


_REASONS: Final[tuple[Callable[[Problem, Path, Schema, Schema], str | None], ...]] = (
    _refuse_null,
    _refuse_choice,
    _refuse_type,
    _refuse_size,
)


def _find_hints(problem: Problem, request: InputRequest, kinds: frozenset[str]) -> Iterator[str]:
    path = _path(problem)
    if len(path) != 1:
        return
    [name] = path
    given = [text for each, text in request.pairs if each == name]
    if problem["type"] == "missing":
        yield f"give it as -i {name}={'@FILE' if 'file' in kinds else '...'}"
    if "boolean" in kinds and any(text.lower() in _TRUTH_WORDS for text in given):
        yield "write true or false"


def _got(problem: Problem) -> str:
    return f"; got {show(problem['value'])}" if "value" in problem else ""


def _quote(name: str | int) -> str:
    return f'"{name}"'


def _enclose(hints: Sequence[str]) -> str:
    return "".join(f" ({hint})" for hint in hints)


def _either(words: Sequence[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
