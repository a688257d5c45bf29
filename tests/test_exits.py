"""How commands end: a sentence and a code, whatever ends them. `test_environments.py` has more."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from hormesis.cli import app
from hormesis.cli.app import main
from hormesis.cli.command_table import COMMANDS
from hormesis.cli.exits import run_and_report
from hormesis.cli.os_errors import sentence_of
from hormesis.cli.signals import SIGNALS

LEAST = {
    "analyze": [],
    "zoom": ["--target", "a"],
    "train": [],
    "retrain": ["a"],
    "apply": ["a"],
    "show": ["a"],
    "export": ["a"],
    "compare": ["a", "b"],
    "plot": ["a"],
    "report": ["a"],
    "status": ["a"],
    "verify": ["a"],
    "watch": ["a"],
}
AGAIN = "run the same command again to go on.\n"


def raising(error):
    def command(given):
        raise error

    return command


def said(words, capsys):
    """The exit code of a command, and its one line on standard error."""
    code = main(words)
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.count("\n") == 1
    return code, written.err


@pytest.mark.parametrize("command", LEAST)
def test_an_error_of_the_system_is_a_sentence_for_every_command(command, monkeypatch, capsys):
    assert LEAST.keys() == COMMANDS.keys()
    error = OSError(errno.EIO, "Input/output error", "there/a.bin")
    monkeypatch.setattr(app, "command_function", lambda name: raising(error))
    assert said([command, *LEAST[command]], capsys) == (
        2,
        "hormesis: error: there/a.bin cannot be used (Input/output error): look after the disk, "
        "and run the same command again.\n",
    )


NAMED = [
    number
    for name in (
        *("EACCES", "EPERM", "EROFS", "ENAMETOOLONG", "ELOOP", "EMFILE", "ENFILE", "EFBIG", "EIO"),
        *("ESTALE", "ENOENT", "ENOTDIR", "EISDIR", "EEXIST", "ENOTEMPTY", "EBADF", "ENXIO"),
        *("ENODEV", "EBUSY", "ETXTBSY", "EXDEV", "EINVAL", "EAGAIN", "EPIPE", "ECONNREFUSED"),
    )
    if (number := getattr(errno, name, None)) is not None
]


REFUSED = "The system refused what was needed"


@pytest.mark.parametrize("number", NAMED)
def test_every_error_of_the_system_names_file_reason_and_remedy(number):
    reason = os.strerror(number)
    line = sentence_of(OSError(number, reason, b"a\xff"))
    assert line is not None
    assert f" cannot be used ({reason}): " in line
    assert line.endswith(".")
    line = sentence_of(OSError(number, reason))
    assert line is not None
    subject = "Standard output cannot be used" if number == errno.EBADF else REFUSED
    assert line.startswith(f"{subject} ({reason}): ")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "x"), "The disk is full: free some space and run the same command"),
        (OSError(errno.EDQUOT, "x", "a"), "a cannot be written. The disk is full: free some space"),
        (OSError("no number"), "The system refused what was needed (no number): mend that and run"),
        (OSError(errno.EIO, "x", 7), "File 7 cannot be used (Input/output error): look after"),
        (MemoryError(), "Memory ran out: close other programs, or let less be computed"),
        (RecursionError("maximum depth"), "Something is nested too deeply to be read (maximum d"),
        (RuntimeError("Symlink loop from 'a'"), "a cannot be used (Too many levels of symbolic l"),
        (
            UnicodeEncodeError("utf-8", "\udcff", 0, 1, "no"),
            "A name holds bytes that are no letter",
        ),
        (ImportError("libx.so is cut", name="x"), "A package that hormesis needs cannot be import"),
    ],
)
def test_what_is_said_of_other_errors(error, line):
    assert (sentence_of(error) or "").startswith(line)


def test_a_long_name_is_cut_in_the_middle():
    line = sentence_of(OSError(errno.EIO, "x", "a" * 5000 + "/the-file")) or ""
    assert "a…a" in line
    assert "/the-file cannot be used" in line
    assert len(line) < 250


def test_a_name_that_steers_a_terminal_or_is_no_text_is_spelled_out(monkeypatch, capsys):
    error = OSError(errno.EIO, "x", b"\x1b[2J\xff")
    monkeypatch.setattr(app, "command_function", lambda name: raising(error))
    code, line = said(["show", "a"], capsys)
    assert code == 2
    assert line.startswith("hormesis: error: \\x1b[2J\\udcff cannot be used")


@pytest.mark.parametrize("error", [ImportError("ours", name="hormesis.x"), RuntimeError("ours")])
def test_faults_of_ours_stay_errors(error):
    with pytest.raises(type(error), match="ours"):
        run_and_report(lambda: raising(error)(None))


def test_names_that_nothing_can_have(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "self").symlink_to("self")
    for words, expected in (
        (["show", "a\0b"], "Expected `study` to hold no null byte and no half of a letter"),
        (["analyze", "--out", "\ud800"], "Expected `--out` to hold no null byte"),
        (["compare", "a", "b\0"], "Expected `studies` to hold no null byte"),
        (["verify", "n" * 300], "n cannot be used (File name too long): give it a shorter name."),
        (["report", "a", "--out", "d/" * 3000 + "a.html"], "/d cannot be used (File name too"),
        (["train", "--out", "self"], "self cannot be used (Too many levels of symbolic links)"),
        (["export", "a", "--to", "self"], "self cannot be used (Too many levels"),
        (["show", "n" * 99], "is no study"),
    ):
        code, line = said(words, capsys)
        assert code == 2
        assert expected in line
    assert (tmp_path / "self").is_symlink()


def test_a_current_folder_that_is_gone(tmp_path, monkeypatch, capsys):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for command, words in LEAST.items():
        code, line = said([command, *words], capsys)
        assert (code, "The current folder is gone: change to one that is there" in line) == (
            2,
            True,
        )
    monkeypatch.chdir(tmp_path)


# Signals


def asking(number, then=None):
    """A command that a signal asks to end, and what it does then."""

    def command(given):
        try:
            os.kill(os.getpid(), number)
            time.sleep(30)
        finally:
            if then is not None:
                then()

    return command


@pytest.mark.parametrize(
    ("number", "code", "line"),
    [
        (signal.SIGINT, 130, f"hormesis: interrupted; {AGAIN}"),
        (signal.SIGTERM, 143, f"hormesis: ended by SIGTERM; {AGAIN}"),
        (signal.SIGHUP, 129, f"hormesis: ended by SIGHUP; {AGAIN}"),
    ],
)
def test_signals_let_a_command_clean_up(number, code, line, monkeypatch, capsys):
    cleaned = []
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    command = asking(number, lambda: cleaned.append(True))
    monkeypatch.setattr(app, "command_function", lambda name: command)
    assert said(["show", "a"], capsys) == (code, line)
    assert cleaned == [True]
    after = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert after == before


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "full"), RuntimeError("lost"), app.SettingError("no")]
)
def test_a_signal_is_said_whatever_it_led_to(error, monkeypatch, capsys):
    command = asking(signal.SIGTERM, lambda: raising(error)(None))
    monkeypatch.setattr(app, "command_function", lambda name: command)
    assert said(["show", "a"], capsys) == (143, f"hormesis: ended by SIGTERM; {AGAIN}")


def test_several_at_once_are_one(monkeypatch, capsys):
    command = asking(signal.SIGINT, lambda: os.kill(os.getpid(), signal.SIGINT))
    monkeypatch.setattr(app, "command_function", lambda name: command)
    assert said(["show", "a"], capsys) == (130, f"hormesis: interrupted; {AGAIN}")


def test_what_was_ignored_stays_ignored(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as by nohup
    try:
        with SIGNALS.caught():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def child(code, *words, **options):
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False, **options
    )
    return done.returncode, done.stdout, done.stderr


LATER = """
import os, signal, sys, time
from hormesis.cli.exits import run_and_report
from hormesis.cli.signals import SIGNALS

def command():
    SIGNALS.started()
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(30)
    finally:
        SIGNALS._since -= 60  # so long ago was the first
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)

sys.exit(run_and_report(command, own_process=True))
"""


WARNING = """
import logging, sys, warnings
import numpy
from hormesis.cli.exits import run_and_report

def command():
    numpy.exp(numpy.array([1000.0]))
    warnings.warn("deprecated", DeprecationWarning)
    warnings.warn("slow")
    logging.getLogger("library").warning("loud")
    return 0

sys.exit(run_and_report(command, own_process=True))
"""


def test_warnings_of_libraries_stay_off_the_screen_unless_asked_for():
    quiet = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    assert child(WARNING, env=quiet) == (0, "", "")
    code, _, errors = child(WARNING, env={**quiet, "PYTHONWARNINGS": "default"})
    assert code == 0
    assert "overflow encountered in exp" in errors


def test_a_later_one_ends_the_process_at_once():
    assert child(LATER) == (130, "", f"hormesis: interrupted; {AGAIN}")


HIDDEN = """
import os, signal, sys, time
from hormesis.cli.exits import run_and_report
from hormesis.cli.signals import SIGNALS

class Removed:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)

def command():
    SIGNALS.started()
    removed = Removed()
    del removed  # where Python can raise nothing
    time.sleep(30)

sys.exit(run_and_report(command, own_process=True))
"""


def test_one_that_came_where_nothing_can_be_raised_is_not_lost():
    assert child(HIDDEN) == (143, "", f"hormesis: ended by SIGTERM; {AGAIN}")


COPIED = """
import os, signal, sys, time
from hormesis.cli.exits import run_and_report
from hormesis.cli.signals import SIGNALS

def command():
    SIGNALS.started()
    copy = os.fork()
    if not copy:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
    return int(os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1]) != -signal.SIGTERM)

sys.exit(run_and_report(command, own_process=True))
"""


def test_a_forked_process_does_what_is_usual():
    assert child(COPIED) == (0, "", "")


AT_THE_END = """
import atexit, os, signal, sys
atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))  # as Python takes itself down
sys.argv[1:] = ["--version"]
from hormesis.__main__ import main
code = main()
atexit.register(lambda: os.kill(os.getpid(), signal.SIGTERM))  # when all is done
sys.exit(code)
"""


def test_one_that_comes_when_all_is_done_changes_nothing():
    code, out, err = child(AT_THE_END)
    assert (code, out.startswith("hormesis "), err) == (0, True, "")


IMPORTING = """
import os, signal, sys
at, number, *sys.argv[1:] = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
seen = 0

def hook(event, _):
    global seen
    if event == "import":
        seen += 1
        if seen == at:
            os.kill(os.getpid(), number)

import hormesis
sys.addaudithook(hook)
from hormesis.__main__ import main
sys.exit(main())
"""


def check_import(at, number):
    code, out, err = child(IMPORTING, str(at), str(int(number)), "show", "nowhere")
    name = "interrupted" if number == signal.SIGINT else f"ended by {number.name}"
    assert (code, out, err) == (128 + number, "", f"hormesis: {name}; {AGAIN}"), at


@pytest.mark.parametrize("at", [2, 5, 9, 30, 400])
def test_ctrl_c_while_modules_are_imported(at):
    check_import(at, signal.SIGINT)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("at", range(40, 700, 33))
def test_signals_while_modules_are_imported(at, number):
    check_import(at, number)


# Outputs


@pytest.mark.parametrize("closed", [[1], [0, 1, 2], [0, 2]])
@pytest.mark.parametrize("words", ["--version"])
def test_closed_streams(closed, words):
    code = (
        "import os, sys\n"
        f"for number in {closed}: os.close(number)\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'hormesis', *sys.argv[1:]])"
    )
    code, _, err = child(code, words)
    assert code == (2 if 1 in closed else 0)
    assert ("Standard output is closed: send it to a file" in err) == (
        1 in closed and 2 not in closed
    )
    assert "Traceback" not in err


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["analyze", "--print_config"]])
def test_output_that_is_full(words):
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-u", "-m", "hormesis", *words], stdout=full, stderr=-1, check=False
        )
    assert done.returncode == 2
    assert done.stderr.decode() == (
        "hormesis: error: The disk is full: free some space and run the same command again.\n"
    )
