"""How results are shown: as a table, JSON, CSV, YAML or bare values."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer
import yaml
from rich import box
from rich.console import Console
from rich.table import Table

Row = Sequence[Any]


class Format(StrEnum):
    """Names of the formats."""

    TABLE = "table"
    JSON = "json"
    VALUE = "value"
    CSV = "csv"
    YAML = "yaml"


FormatOption = Annotated[Format, typer.Option("-f", "--format", help="How to show the result.")]
ColumnOption = Annotated[
    list[str] | None, typer.Option("-c", "--column", help="Show only this column; may be repeated.")
]


def show_list(
    columns: Sequence[str], rows: Iterable[Row], form: Format, wanted: Sequence[str] | None = None
) -> None:
    """Print rows. ValueError for a column that there is not."""
    chosen = _chosen(columns, wanted)
    names = [columns[index] for index in chosen]
    found = [[row[index] for index in chosen] for row in rows]
    if form is Format.TABLE:
        _print_table(names, found)
    elif form is Format.JSON:
        print(json.dumps([dict(zip(names, row, strict=True)) for row in found], indent=2, default=str))
    elif form is Format.YAML:
        print(
            yaml.safe_dump(_plain([dict(zip(names, row, strict=True)) for row in found]), sort_keys=False),
            end="",
        )
    elif form is Format.CSV:
        print(_csv([names, *found]), end="")
    else:
        for row in found:
            print(" ".join(_text(value) for value in row))


def show_one(values: dict[str, Any], form: Format, wanted: Sequence[str] | None = None) -> None:
    """Print one thing: its fields and their values."""
    names = list(values)
    chosen = {names[index]: values[names[index]] for index in _chosen(names, wanted)}
    if form is Format.TABLE:
        _print_table(["Field", "Value"], [[name, value] for name, value in chosen.items()])
    elif form is Format.JSON:
        print(json.dumps(chosen, indent=2, default=str))
    elif form is Format.YAML:
        print(yaml.safe_dump(_plain(chosen), sort_keys=False), end="")
    elif form is Format.CSV:
        print(_csv([["Field", "Value"], *([name, value] for name, value in chosen.items())]), end="")
    else:
        for value in chosen.values():
            print(_text(value))


def _chosen(columns: Sequence[str], wanted: Sequence[str] | None) -> list[int]:
    if not wanted:
        return list(range(len(columns)))
    known = {name.lower(): index for index, name in enumerate(columns)}
    missing = [name for name in wanted if name.lower() not in known]
    if missing:
        raise ValueError(f"no column {missing[0]!r}: there are {', '.join(columns)}")
    return sorted({known[name.lower()] for name in wanted})


def _print_table(names: Sequence[str], rows: Iterable[Row]) -> None:
    table = Table(*names, box=box.ASCII2)
    for row in rows:
        table.add_row(*(_escaped(value) for value in row))
    # A table that is cut is no use to anybody who reads it from a file.
    console = Console()
    if not console.is_terminal:
        console = Console(width=4096)
    console.print(table)


def _escaped(value: Any) -> str:
    return _text(value).replace("[", r"\[")


def _text(value: Any) -> str:
    if value is None:
        return "n/a"
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _csv(rows: Iterable[Row]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerows(
        [value if isinstance(value, int | float) else _text(value) for value in row] for row in rows
    )
    return file.getvalue()


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))
