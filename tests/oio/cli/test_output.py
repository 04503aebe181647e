"""The five formats of results."""

from __future__ import annotations

import csv
import io
import json

import pytest
import yaml

from oio.cli.output import Format, show_list, show_one

COLUMNS = ("Name", "Count", "Up")
ROWS = [("a [b]", 3, True), ('c "d", e', 0, False)]


def test_rows_read_back_alike_from_json_yaml_and_csv(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]
    show_list(COLUMNS, ROWS, Format.JSON)
    assert json.loads(capsys.readouterr().out) == wanted
    show_list(COLUMNS, ROWS, Format.YAML)
    assert yaml.safe_load(capsys.readouterr().out) == wanted
    show_list(COLUMNS, ROWS, Format.CSV)
    lines = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert lines == [list(COLUMNS), ["a [b]", "3", "True"], ['c "d", e', "0", "False"]]


def test_values_stand_in_lines_and_tables_show_all(capsys: pytest.CaptureFixture[str]) -> None:
    show_list(COLUMNS, ROWS, Format.VALUE, ["count", "name"])
    assert capsys.readouterr().out == 'a [b] 3\nc "d", e 0\n'
    show_list(COLUMNS, [("x" * 300, 1, True)], Format.TABLE)
    shown = capsys.readouterr().out
    assert "x" * 300 in shown
    assert "Count" in shown
    show_list(COLUMNS, ROWS, Format.TABLE)
    assert "a [b]" in capsys.readouterr().out


def test_one_thing_is_shown_by_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    values = {"namespace": "OPENIO", "size": 5}
    show_one(values, Format.JSON)
    assert json.loads(capsys.readouterr().out) == values
    show_one(values, Format.VALUE, ["size"])
    assert capsys.readouterr().out == "5\n"
    show_one(values, Format.YAML)
    assert yaml.safe_load(capsys.readouterr().out) == values
    show_one(values, Format.CSV)
    assert capsys.readouterr().out.splitlines() == ['"Field","Value"', '"namespace","OPENIO"', '"size",5']


def test_an_unknown_column_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="no column 'x': there are Name, Count, Up"):
        show_list(COLUMNS, ROWS, Format.TABLE, ["x"])
