"""The harness itself: it sees everything, does what it says, and finds what is wrong."""

import errno
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from faults import journal
from faults.journal import Disk, Record, torn
from faults.shim import CHANGES, CREATE, RENAME, WRITE, built, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "it can be tried here")
WORKER = Path(__file__).with_name("worker.py")


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    return built(tmp_path_factory.mktemp("shim").resolve())


def work(
    shim: Path, root: Path, *, classes: int = CHANGES, action: int = 0, at: int = -1, by="python"
) -> subprocess.CompletedProcess[str]:
    """Let the worker do its work, watched from its start on."""
    root.mkdir()
    said = f"{root}|{classes}|{action}|{at}|0|{root}.journal"
    environment = {**os.environ, "LD_PRELOAD": str(shim), "FAULTS": said, "OMP_NUM_THREADS": "1"}
    words = [sys.executable, str(WORKER), by, str(root)]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)


def replayed(root: Path, empty: Path) -> tuple[Disk, list[Record]]:
    empty.mkdir(exist_ok=True)
    disk, records = Disk(empty), journal.read(Path(f"{root}.journal"))
    for record in records:
        disk.apply(record)
    return disk, records


@pytest.mark.parametrize("by", ["python", "libraries"])
def test_the_journal_tells_all_that_is_on_the_disk(shim, tmp_path, by):
    root = tmp_path.resolve() / "root"
    done = work(shim, root, by=by)
    assert done.returncode == 0, done.stderr
    disk, _ = replayed(root, tmp_path / "empty")
    assert disk.tree() == journal.tree_of(root)
    if by == "libraries":
        assert set(disk.tree()) == {"arrow.parquet", "rust.safetensors", "stream.pt", "torch.pt"}


def test_a_kill_leaves_what_was_done_before_it(shim, tmp_path):
    whole = tmp_path.resolve() / "whole"
    assert work(shim, whole).returncode == 0
    every, done = journal.read(Path(f"{whole}.journal")), []
    for at in (0, 9, 30):
        root = tmp_path.resolve() / f"killed-{at}"
        assert work(shim, root, action=-1, at=at).returncode == -signal.SIGKILL
        disk, records = replayed(root, tmp_path / "empty")
        assert disk.tree() == journal.tree_of(root)
        told = [(one.op, one.first, one.data) for one in records]
        assert told == [(one.op, one.first, one.data) for one in every[: len(told)]]
        done.append(len(told))
    assert 0 == done[0] < done[1] < done[2] < len(every)


def test_a_kill_in_a_write_leaves_one_half(shim, tmp_path):
    root = tmp_path.resolve() / "root"
    assert work(shim, root, classes=WRITE, action=-2, at=0).returncode == -signal.SIGKILL
    assert journal.tree_of(root) == {"made": None, "made/a.txt": b"fi"}


@pytest.mark.parametrize(
    ("classes", "error"), [(CREATE, errno.EMFILE), (WRITE, errno.ENOSPC), (RENAME, errno.EIO)]
)
def test_an_error_is_what_the_program_sees(shim, tmp_path, classes, error):
    root = tmp_path.resolve() / "root"
    done = work(shim, root, classes=classes, action=error, at=0)
    assert done.returncode == 1
    assert f"[Errno {error}] {os.strerror(error)}" in done.stderr


def record(op: str, first: str = "", second: str = "", file: int = 0, data: bytes = b"") -> Record:
    flags = 0o100 if op == "o" else 0
    return Record(op, flags, first, second, file, 0, data)


def after(records: list[Record], policy: str, start: Path) -> journal.Tree:
    disk = Disk(start)
    for one in records:
        disk.apply(one)
    return disk.after_a_cut(policy, random.Random(0))


WRITTEN = [record("o", "new", file=1), record("w", "new", file=1, data=b"content")]


def test_a_rename_before_its_data_were_synced_leaves_nothing_or_half(tmp_path):
    (tmp_path / "old").write_bytes(b"older")
    records = [*WRITTEN, record("r", "new", "old")]
    assert after(records, "nothing", tmp_path) == {"old": b"older"}
    assert after(records, "names", tmp_path) == {"old": b""}
    assert after(records, "half", tmp_path) == {"old": b"con"}
    assert after(records, "zeros", tmp_path) == {"old": bytes(7)}
    assert after(records, "content", tmp_path) == {"old": b"older"}


def test_what_was_synced_in_the_right_order_is_there_after_every_cut(tmp_path):
    (tmp_path / "old").write_bytes(b"older")
    records = [*WRITTEN, record("s", "new", file=1), record("r", "new", "old")]
    for _, _, tree in torn(tmp_path, records, seed=0):
        assert tree["old"] in (b"older", b"content")
    records.append(record("s", ""))
    for policy in journal.POLICIES:
        assert after(records, policy, tmp_path) == {"old": b"content"}


def test_names_that_were_not_synced_come_back_or_are_gone(tmp_path):
    (tmp_path / "old").write_bytes(b"older")
    records = [record("u", "old"), record("m", "folder"), record("o", "folder/in", file=2)]
    assert after(records, "nothing", tmp_path) == {"old": b"older"}
    assert after(records, "names", tmp_path) == {"folder": None, "folder/in": b""}
    records.append(record("s", ""))
    assert after(records, "nothing", tmp_path) == {"folder": None}


def test_a_folder_is_synced_whose_number_was_a_file_s(tmp_path):
    records = [*WRITTEN, record("u", "new"), record("m", "folder"), record("s", "")]
    records += [record("m", "folder/in"), record("s", "folder", file=1)]
    assert after(records, "nothing", tmp_path) == {"folder": None, "folder/in": None}


@pytest.mark.parametrize("seed", range(20))
def test_a_rename_between_folders_is_whole_or_not_at_all(tmp_path, seed):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "one" / "file").write_bytes(b"x")
    (tmp_path / "one" / "other").write_bytes(b"y")
    records = [record("u", "one/other"), record("r", "one/file", "two/file"), record("m", "two/in")]
    disk = Disk(tmp_path)
    for one in records:
        disk.apply(one)
    tree = disk.after_a_cut("mixed", random.Random(seed))
    assert ("one/file" in tree) != ("two/file" in tree)
