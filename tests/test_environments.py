"""Commands where the world around them is broken: from a shell, as users and their scripts do."""

import os
import subprocess
import sys

import pytest

from hormesis.cli.app import main
from users import forgotten, settle

pytestmark = pytest.mark.slow

LONG = "n" * 300
DEEP = "/".join(["d" * 200] * 25)
ANALYZE = (
    "$H analyze --model my.nets:build --data my.sets:held_out --thresholds 3 --epsilon 0.1 "
    "--engine plain --no-progress"
)
FULL = "The disk is full: free some space"
CLOSED = "Standard output is closed: send it"
TOO_LONG = "cannot be used (File name too long): give it a shorter name."
CIRCLE = "self cannot be used (Too many levels of symbolic links): its links lead in a circle"
HERE = "mkdir gone; cd gone; rmdir ../gone; "
GONE = "The current folder is gone: change to one that is there"
OF = "; exit ${PIPESTATUS[0]}"

ENVIRONMENTS = [
    ("$H --help >/dev/full", 2, FULL),
    ("$H --version >/dev/full", 2, FULL),
    ("PYTHONUNBUFFERED=1 $H analyze --help >/dev/full", 2, FULL),
    ("$H analyze --print_config >/dev/full", 2, FULL),
    ("$H show study >/dev/full", 2, FULL),
    ("PYTHONUNBUFFERED=1 $H show study >/dev/full", 2, FULL),
    ("$H status study >/dev/full", 2, FULL),
    ("$H verify study >/dev/full", 2, FULL),
    ("$H export study --what responses >/dev/full", 2, FULL),
    ("$H >/dev/full", 2, FULL),
    ("$H --help >&-", 2, CLOSED),
    ("$H show study >&-", 2, CLOSED),
    ("$H >&-", 2, CLOSED),
    ("$H show study 2>&- >/dev/null", 0, ""),
    ("$H show nowhere 2>&-", 2, ""),
    ("$H show nowhere 2>/dev/full", 2, ""),
    ("$H show study <&- >/dev/null", 0, ""),
    ("$H --version <&- >&- 2>&-", 2, ""),
    ("$H show study 1</dev/null", 2, "Standard output cannot be used (Bad file descriptor)"),
    (f"$H show study | true{OF}", 141, ""),
    (f"$H status study | true{OF}", 141, ""),
    (f"$H --help | true{OF}", 141, ""),
    (f"$H export study --what responses | true{OF}", 141, ""),
    (f"{HERE}$H show study", 2, GONE),
    (f"{HERE}$H --help >/dev/null", 0, ""),
    (f"{HERE}$H analyze", 2, GONE),
    (f"{HERE}$H report ../study", 2, GONE),
    ("ln -s self self; $H export study --to self", 2, CIRCLE),
    ("ln -s self self; $H show self", 2, CIRCLE),
    (f"ln -s self self; {ANALYZE} --out self", 2, CIRCLE),
    ("ln -s self self; $H train --out self", 2, CIRCLE),
    ("ln -s self self; $H compare study other --out self", 2, CIRCLE),
    *((f"$H {each} {LONG}", 2, TOO_LONG) for each in ("show", "status", "verify", "watch")),
    (f"$H export study --to {LONG}", 2, TOO_LONG),
    (f"$H report study --out {LONG}.html", 2, TOO_LONG),
    (f"$H plot study --out {LONG}.pdf", 2, TOO_LONG),
    (f"{ANALYZE} --out {LONG}", 2, TOO_LONG),
    (f"$H train --out {LONG}", 2, TOO_LONG),
    (f"$H retrain {LONG}", 2, TOO_LONG),
    (f"$H analyze --data {LONG}", 2, TOO_LONG),
    (f"$H show {DEEP}", 2, TOO_LONG),
    (f"$H export study --to {DEEP}", 2, TOO_LONG),
    ("$H show $'a\\xff'", 2, "is no study"),
    ("$H export study --to $'a\\xff'", 0, ""),
    (f"{ANALYZE} --out $'s\\xff' >/dev/null && $H report $'s\\xff' >/dev/null", 0, ""),
    ("$H report study --title $'a\\xff' >/dev/null", 0, ""),
    ("$H $'a\\xff'", 2, "Unknown command"),
    (f"{ANALYZE} --out a_file/x", 2, "a_file/x cannot be written: Not a directory"),
    ("$H export study --to a_file/x", 2, "cannot be written to a_file/x: Not a directory"),
    ("$H train --out a_file/x", 2, "a_file/x cannot be written: Not a directory"),
    ("$H report study --out a_file/x.html", 2, "in a folder that exists, got a_file/x.html"),
    ("$H plot study --out a_file/x.pdf", 2, "cannot be written to a_file/x.pdf: Not a directory"),
    ("$H export study --to /proc/x", 2, "cannot be written to /proc/x: "),
    ("mkdir real; $H export study --to real", 2, "cannot be written to real: Is a directory"),
    ("$H export study --to /dev/full --format parquet; rc=$?; test -c /dev/full; exit $rc", 2, ""),
    ("ulimit -n 6; $H show study >/dev/null", 0, ""),
    ("ulimit -f 0; $H export study --to big", 2, "File too large"),
    ("ulimit -v 60000; $H show study", 2, "that hormesis needs cannot be imported"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    settle(folder)
    words = ANALYZE.split()[1:]
    with pytest.MonkeyPatch.context() as patched, forgotten():
        patched.chdir(folder)
        assert main([*words, "--out", "study", "--seed", "1"]) == 0
        assert main([*words, "--out", "other", "--seed", "2"]) == 0
    return folder


@pytest.mark.parametrize(("script", "code", "sentence"), ENVIRONMENTS)
def test_a_broken_world_gets_a_sentence(script, code, sentence, made, tmp_path):
    for name in os.listdir(made):  # noqa: PTH208
        (tmp_path / name).symlink_to(made / name)
    done = subprocess.run(
        ["bash", "-c", script.replace("$H", f"{sys.executable} -m hormesis")],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    said = done.stderr.decode()
    assert done.returncode == code, said
    assert sentence in said
    assert said.count("\n") <= 1
    assert "Traceback" not in said
    assert not [name for name in os.listdir(tmp_path) if "partial" in name or "tmp-" in name]  # noqa: PTH208
