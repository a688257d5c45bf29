"""No name from a file moves the cursor, changes a colour or turns the direction of a line."""

import io

import pytest
from rich.table import Table
from rich.text import Text

from hormesis.report.text.console import console, printable

HOSTILE = "fc\x1b[2J\x1b]0;title\x07\r\x9b31m\u202egnp\x00.weight"
SPELLED = r"fc\x1b[2J\x1b]0;title\x07\x0d\x9b31m\u202egnp\x00.weight"


def test_control_characters_are_spelled_out():
    assert printable(HOSTILE) == SPELLED
    assert printable("layer1.ρ\nconv") == "layer1.ρ\nconv"


@pytest.mark.parametrize("soft_wrap", [False, True])
def test_a_console_prints_them_spelled_out(monkeypatch, soft_wrap):
    monkeypatch.setenv("COLUMNS", "200")
    made = console(soft_wrap=soft_wrap)
    made.file = io.StringIO()
    table = Table(box=None)
    table.add_column("target")
    table.add_row(Text("fc\x1b[2J"))
    made.print(table)
    made.print(Text("fc\x1b[2J\u202e"))
    made.print()
    said = made.file.getvalue()
    assert "\x1b" not in said
    assert said.split() == ["target", r"fc\x1b[2J", r"fc\x1b[2J\u202e"]


def test_colours_of_our_own_stay(monkeypatch):
    made = console()
    made.file = io.StringIO()
    made._color_system = made._detect_color_system() or None
    made.print(Text("robust", style="red"))
    assert "robust" in made.file.getvalue()
