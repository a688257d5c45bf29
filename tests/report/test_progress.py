"""Progress: bars in a terminal, a few plain lines in a log, nothing for what is quick."""

import pytest

from hormesis.engine import progress
from hormesis.engine.progress import show_progress, silent


class Clock:
    """A clock that the tests move."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    moved = Clock()
    monkeypatch.setattr(progress.time, "monotonic", moved)
    return moved


@pytest.fixture
def log(monkeypatch, capsys):
    """Return a function that gives what stands in the log since it was last called."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return lambda: capsys.readouterr().err


@pytest.fixture
def terminal(monkeypatch, log):
    """Return the same for a terminal of 80 columns."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    return log


def test_a_quick_stage_leaves_nothing_in_a_log(log, clock):
    with show_progress() as report:
        for done in range(11):
            clock.now += 0.19
            report("Reading", done, 10)
    assert log() == ""


def test_a_longer_stage_leaves_one_line_at_its_end(log, clock):
    with show_progress() as report:
        report("Reading", 0, 10)
        clock.now += 2.0
        report("Reading", 10, 10)
        report("Reading", 10, 10)
    assert log() == "Reading: done in 0:02\n"


def test_a_long_stage_leaves_a_line_each_half_minute_with_the_time_left(log, clock):
    with show_progress() as report:
        for done in range(101):
            report("Measuring", done, 100)
            clock.now += 1.0
    assert log().splitlines() == [
        "Measuring: 30%, 1:10 left",
        "Measuring: 60%, 0:40 left",
        "Measuring: 90%, 0:10 left",
        "Measuring: done in 1:40",
    ]


def test_hours_are_told(log, clock):
    with show_progress() as report:
        report("Measuring", 0, 10)
        clock.now += 3600.0
        report("Measuring", 2, 10)
    assert log() == "Measuring: 20%, 4:00:00 left\n"


def test_stages_keep_their_own_time(log, clock):
    with show_progress() as report:
        report("Reading", 0, 2)
        clock.now += 5.0
        report("Reading", 2, 2)
        report("Measuring", 0, 2)
        clock.now += 1.0
        report("Measuring", 2, 2)
    assert log() == "Reading: done in 0:05\n"


def test_a_stage_that_does_not_move_tells_no_wrong_time(log, clock):
    with show_progress() as report:
        report("Measuring", 0, 10)
        clock.now += 31.0
        report("Measuring", 0, 10)
        report("Empty", 0, 0)
    assert log() == "Measuring: 0%\n"


def test_a_log_has_no_control_characters(log, clock):
    with show_progress() as report:
        for done in range(101):
            report("[bold]Measuring", done, 100)
            clock.now += 1.0
    text = log()
    assert text.startswith("[bold]Measuring: 30%")
    assert "\x1b" not in text
    assert "\r" not in text


@pytest.mark.parametrize("enabled", [True, False])
def test_errors_pass_through(log, enabled):
    def broken() -> None:
        with show_progress(enabled=enabled) as report:
            report("Reading", 1, 2)
            raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="the disk is gone"):
        broken()
    assert log() == ""


def test_nothing_is_shown_where_none_is_wanted(log, clock):
    with show_progress(enabled=False) as report:
        assert report is silent
        report("Reading", 0, 2)
        clock.now += 100.0
        report("Reading", 2, 2)
    assert log() == ""


def test_a_terminal_shows_a_bar_with_the_time_left(terminal):
    with show_progress() as report:
        for done in range(5):
            report("Reading the data", done, 4)
        report("Reading [bold]more", 0, 4)
        report("Nothing to do", 0, 0)
    text = terminal()
    assert "Reading the data" in text
    assert "Reading [bold]more" in text
    assert "100%" in text
    assert "ETA" in text


def test_an_error_in_a_terminal_passes_through_and_gives_the_cursor_back(terminal):

    def broken() -> None:
        with show_progress() as report:
            report("Reading", 1, 2)
            raise KeyboardInterrupt("stop")

    with pytest.raises(KeyboardInterrupt, match="stop"):
        broken()
    assert terminal().rstrip().endswith("\x1b[?25h")


def test_a_notebook_without_widgets_gets_lines(log, clock, monkeypatch):
    class Notebook:
        is_terminal, is_jupyter = False, True

    monkeypatch.setattr(progress, "Console", lambda stderr: Notebook())
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    with show_progress() as report:
        report("Reading", 0, 10)
        clock.now += 2.0
        report("Reading", 10, 10)
    assert log() == "Reading: done in 0:02\n"
