"""Results as a table: a CSV file, or Parquet.

Its columns are known when all results are there, which are read twice for it.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from servekit_cli.batching.parquet import load_pyarrow
from servekit_cli.batching.places import OutputPlace

__all__ = ["write_table"]

_MOST_COLUMNS: Final = 1000
_ROWS_AT_ONCE: Final = 1000
_INT64: Final = 1 << 63
_FIXED: Final = ("row", "status")
_LAST: Final = ("error", "kind", "attempts", "seconds")

_Row = dict[str, Any]


def write_table(place: OutputPlace) -> None:
    """Write the lines of a job's results as its table; there is the whole table or none.

    What is an object becomes a column for each member, such as `input.text` and `output.label`; other members, and
    whatever is nested deeper, are JSON.
    """
    columns = _find_columns(place.lines)
    new = place.path.with_name(f"{place.path.name}.new")
    if place.format == "parquet":
        _write_parquet(new, place.lines, columns)
    else:
        _write_csv(new, place.lines, columns, "\t" if place.format == "tsv" else ",")
    new.replace(place.path)


def _write_csv(target: Path, lines: Path, columns: Mapping[str, set[type]], delimiter: str) -> None:
    with target.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter=delimiter)
        table.writerow(columns)
        for row in _read_rows(lines):
            table.writerow([_to_cell(row.get(name)) for name in columns])


def _write_parquet(target: Path, lines: Path, columns: Mapping[str, set[type]]) -> None:
    arrow, parquet = load_pyarrow("pyarrow"), load_pyarrow()
    fields = {name: _choose_type(arrow, kinds) for name, kinds in columns.items()}
    schema = arrow.schema(list(fields.items()))
    texts = {name for name, kind in fields.items() if kind == arrow.string()}
    with parquet.ParquetWriter(target, schema) as table:
        for rows in _read_groups(lines):
            cells = [{name: _fit_cell(row.get(name), is_text=name in texts) for name in columns} for row in rows]
            table.write_table(arrow.Table.from_pylist(cells, schema=schema))


def _read_groups(lines: Path) -> Iterator[list[_Row]]:
    group: list[_Row] = []
    for row in _read_rows(lines):
        group.append(row)
        if len(group) == _ROWS_AT_ONCE:
            yield group
            group = []
    if group:
        yield group


def _find_columns(lines: Path) -> dict[str, set[type]]:
    """Name the columns, in the order in which they are met, with the kinds of values in each."""
    met: dict[str, set[type]] = {}
    for row in _read_rows(lines):
        for name, value in row.items():
            if name in met or len(met) < _MOST_COLUMNS:
                met.setdefault(name, set()).add(_kind_of(value))
    found = {name: met.pop(name, set()) for name in _FIXED}
    last = {name: met.pop(name, set()) for name in _LAST}
    inputs = {name: kinds for name, kinds in met.items() if name.startswith("input")}
    return {**found, **inputs, **{name: kinds for name, kinds in met.items() if name not in inputs}, **last}


def _read_rows(lines: Path) -> Iterator[_Row]:
    decoder = msgspec.json.Decoder(dict[str, Any])
    with lines.open("rb") as file:
        for line in file:
            result = decoder.decode(line)
            row: _Row = {"attempts": 1, "seconds": 0.0}
            for name, value in result.items():
                if name in {"input", "output", "metrics"} and isinstance(value, dict):
                    members: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType] # JSON
                    row |= {f"{name}.{member}": each for member, each in members.items()}
                else:
                    row[name] = value
            yield row


def _to_cell(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _choose_type(arrow: Any, kinds: set[type]) -> Any:
    """Choose the type of a column; text, JSON if need be, where the values are of several kinds."""
    kinds = kinds - {type(None)}
    if kinds == {bool}:
        return arrow.bool_()
    if kinds == {int}:
        return arrow.int64()
    if kinds and kinds <= {int, float}:
        return arrow.float64()
    return arrow.string()


def _kind_of(value: Any) -> type:
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        return str
    return cast("type", type(value))


def _fit_cell(value: Any, *, is_text: bool) -> Any:
    return _to_cell(value) if is_text else value
