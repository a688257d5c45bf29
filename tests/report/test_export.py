"""Exported tables: the exact text, numbers to the last digit, and files whole or not there."""

import csv
import errno
import json
from pathlib import Path

import pandas as pd
import pytest

from hormesis.errors import StudyError
from hormesis.report.text.export import export_table

TABLE = pd.DataFrame(
    {
        "target": ["a, b", 'say "ε"'],
        "step": [0, 1],
        "value": [0.1 + 0.2, float("nan")],
        "tested": [True, False],
    }
)
CSV = 'target,step,value,tested\n"a, b",0,0.30000000000000004,True\n"say ""ε""",1,,False\n'
ROWS = [
    {"target": "a, b", "step": 0, "value": 0.1 + 0.2, "tested": True},
    {"target": 'say "ε"', "step": 1, "value": None, "tested": False},
]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_csv_to_the_letter(tmp_path, capsys):
    to = tmp_path / "table.csv"
    export_table(TABLE, "csv", str(to))
    assert to.read_bytes() == CSV.encode()
    export_table(TABLE, "csv", None)
    assert capsys.readouterr().out == CSV


def test_json_is_one_object_a_row_with_null_for_no_number(tmp_path, capsys):
    to = tmp_path / "table.json"
    export_table(TABLE, "json", str(to))
    assert json.loads(to.read_text(encoding="utf-8")) == ROWS
    assert "NaN" not in to.read_text(encoding="utf-8")
    export_table(TABLE, "json", None)
    assert json.loads(capsys.readouterr().out) == ROWS


def test_parquet_comes_back_as_it_was(tmp_path):
    export_table(TABLE, "parquet", str(tmp_path / "table.parquet"))
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "table.parquet"), TABLE)


def test_parquet_is_no_text():
    with pytest.raises(StudyError, match="Parquet is no text: name a file for it with --to"):
        export_table(TABLE, "parquet", None)


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path, form):
    to = tmp_path / "table"
    to.write_text("old")
    export_table(TABLE, form, str(to))
    assert to.read_bytes() != b"old"
    assert names(tmp_path) == ["table"]


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_a_folder_that_is_not_there(tmp_path, form):
    to = tmp_path / "nowhere" / "table"
    words = (
        r"cannot be written to .*table: (No such file|Cannot save file into a non-existent).*--to"
    )
    with pytest.raises(StudyError, match=words):
        export_table(TABLE, form, str(to))
    assert names(tmp_path) == []


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_a_folder_in_the_place_of_the_file(tmp_path, form):
    (tmp_path / "table").mkdir()
    with pytest.raises(StudyError, match=r"cannot be written to .*table: Is a directory"):
        export_table(TABLE, form, str(tmp_path / "table"))
    assert names(tmp_path) == ["table"]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_full_disk_leaves_the_old_file_alone(tmp_path, monkeypatch, form):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    to = tmp_path / "table"
    to.write_text("old")
    owner, method = (Path, "write_text") if form == "csv" else (pd.DataFrame, "to_parquet")
    monkeypatch.setattr(owner, method, full)
    with pytest.raises(StudyError, match="table: No space left on device"):
        export_table(TABLE, form, str(to))
    assert to.read_bytes() == b"old"
    assert names(tmp_path) == ["table"]


def test_a_home_folder_may_be_meant(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    export_table(TABLE, "csv", "~/table.csv")
    assert names(tmp_path) == ["table.csv"]


def test_a_table_without_rows_keeps_its_columns(capsys):
    export_table(TABLE.iloc[:0], "csv", None)
    assert capsys.readouterr().out == "target,step,value,tested\n"
    export_table(TABLE.iloc[:0], "json", None)
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-0.3", "'-0.3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "\\x09=1"),
        ("\r=1", "\\x0d=1"),
        (" =1", "' =1"),
        ("a;=cmd|' /C calc'!A0", "a;'=cmd|' /C calc'!A0"),
        ("a,b\n=1", "a,b\n'=1"),
        ("\uff1d1", "'\uff1d1"),
        ("conv-1.weight", "conv-1.weight"),
        ("a=b", "a=b"),
    ],
)
def test_a_name_is_no_formula_in_a_spreadsheet(tmp_path, name, written):
    to = tmp_path / "table.csv"
    export_table(pd.DataFrame({"target": [name], "value": [-0.3]}), "csv", str(to))
    with to.open(newline="", encoding="utf-8") as file:
        (row,) = list(csv.DictReader(file))
    assert row == {"target": written, "value": "-0.3"}
    export_table(pd.DataFrame({"target": [name], "value": [-0.3]}), "json", str(to))
    assert json.loads(to.read_text(encoding="utf-8")) == [{"target": name, "value": -0.3}]


def test_a_name_is_no_command_of_latex(tmp_path):
    to = tmp_path / "table.tex"
    export_table(pd.DataFrame({"target": [r"\input{/etc/passwd}", "a & b % c"]}), "latex", str(to))
    text = to.read_text(encoding="utf-8")
    assert r"\textbackslash input\{/etc/passwd\}" in text
    assert r"a \& b \% c" in text
