"""One process at a time works on a folder, whatever becomes of it; with real processes."""

import errno
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import killed
from hormesis.errors import StudyError, TrainingError
from hormesis.results.study import load_study
from hormesis.storage import lock
from hormesis.storage.atomic import TEMPORARY
from hormesis.storage.lock import LOCK, lock_folder, read_holder
from hormesis.storage.replacement import predecessor, successor
from hormesis.storage.verify import verify_study

HOLD = """
import sys, time
from pathlib import Path
from hormesis.storage.lock import lock_folder
with lock_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(300)
"""
ELSEWHERE = {
    "token": "0" * 16,
    "host": "node7",
    "pid": 4711,
    "machine": "another",
    "since": 1_700_000_000.0,
}


@contextmanager
def holding(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Let another process hold the folder."""
    words = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def refused(folder: Path, words: str) -> None:
    with pytest.raises(StudyError, match=words), lock_folder(folder):
        pytest.fail("the block must not be entered")


@pytest.fixture
def unshared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that knows no locks of the system's."""
    monkeypatch.setattr(lock, "_flock", lambda handle: None)
    monkeypatch.setattr(lock, "SETTLE", 0.2)


def sign(folder: Path, *, age: float, **changes: Any) -> None:
    """Leave the lock of somebody else, last touched so many seconds ago."""
    path = folder / LOCK
    path.write_text(json.dumps({**ELSEWHERE, **changes}))
    then = time.time() - age
    os.utime(path, (then, then))


def test_the_second_is_refused_and_told_who_holds_it(tmp_path):
    with holding(tmp_path) as process:
        refused(tmp_path, rf"is being worked on by process {process.pid} on '.*', since .*: wait")
        with (
            pytest.raises(TrainingError, match="is being worked on"),
            lock_folder(tmp_path, TrainingError),
        ):
            pytest.fail("the block must not be entered")


def test_a_study_that_another_process_works_on_is_refused(tmp_path):
    out = tmp_path / "study"
    out.mkdir()
    with holding(out) as process:
        with pytest.raises(StudyError, match=rf"worked on by process {process.pid} "):
            killed.analyze(out, "usual")
        assert [path.name for path in out.iterdir()] == [LOCK]
        process.kill()
        process.wait()
        assert killed.analyze(out, "usual").finished


@pytest.mark.parametrize("times", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_readers_see_one_study_or_the_other_while_it_is_replaced(tmp_path, times):
    out, ended = tmp_path / "study", threading.Event()
    killed.analyze(out, "usual")
    seen, wrong = set[int](), []

    def read() -> None:
        while not ended.is_set():
            try:
                study = load_study(out)
                seen.add(len(study.responses))
                study.scores_with(study.scoring)
            except StudyError as error:
                if "open it again" not in str(error):
                    wrong.append(str(error))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(times):
        killed.analyze(out, "extend")
        killed.analyze(out, "overwrite")
    ended.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert len(seen) == 2


def test_whoever_is_dead_holds_nothing(tmp_path):
    with holding(tmp_path) as process:
        process.kill()  # -9
        process.wait()
        assert (read_holder(tmp_path) or {})["pid"] == process.pid
        with lock_folder(tmp_path) as held:
            held.check()
            assert (read_holder(tmp_path) or {})["pid"] == os.getpid()


@pytest.mark.parametrize("fails", [False, True])
def test_at_the_end_nothing_is_left(tmp_path, fails):
    try:
        with lock_folder(tmp_path):
            assert [path.name for path in tmp_path.iterdir()] == [LOCK]
            if fails:
                raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert not [*tmp_path.iterdir()]
    assert "lock" not in [thread.name for thread in threading.enumerate()]


def test_another_thread_of_this_process_is_refused_too(tmp_path):
    with lock_folder(tmp_path):
        refused(tmp_path, rf"process {os.getpid()} on")


@pytest.mark.usefixtures("unshared")
def test_without_the_system_s_locks_a_process_of_this_machine_is_looked_for(tmp_path):
    with holding(tmp_path) as process:
        refused(tmp_path, rf"process {process.pid} on")
        process.kill()
        process.wait()
        with lock_folder(tmp_path):
            pass


@pytest.mark.parametrize("known", [True, False])
def test_another_machine_holds_it_while_it_gives_signs_of_life(tmp_path, monkeypatch, known):
    monkeypatch.setattr(lock, "SETTLE", 0.05)
    if not known:
        monkeypatch.setattr(lock, "_flock", lambda handle: None)
    sign(tmp_path, age=lock.STALE / 2)
    refused(tmp_path, r"process 4711 on 'node7', since 1\d Nov")
    sign(tmp_path, age=lock.STALE * 2)
    with lock_folder(tmp_path) as held:
        held.check()


@pytest.mark.usefixtures("unshared")
def test_of_two_who_take_over_at_once_one_does(tmp_path):
    sign(tmp_path, age=lock.STALE * 2)
    inside, refusals, start = [], [], threading.Barrier(4)

    def take(name: int) -> None:
        start.wait()
        try:
            with lock_folder(tmp_path) as held:
                inside.append(name)
                time.sleep(0.6)
                held.check()
        except StudyError as error:
            refusals.append(str(error))

    threads = [threading.Thread(target=take, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(inside) == 1
    assert len(refusals) == 3


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_a_link_in_its_place_is_not_followed(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / LOCK).symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match="symbolic links"), lock_folder(tmp_path):
        pytest.fail("the block must not be entered")
    assert (tmp_path / "mine").read_text() == "mine"


def test_who_was_taken_over_notices_and_leaves_the_lock_alone(tmp_path):
    with lock_folder(tmp_path) as held:
        sign(tmp_path, age=0)
        with pytest.raises(StudyError, match="was taken over by process 4711 on 'node7'"):
            held.check()
    assert (read_holder(tmp_path) or {})["pid"] == 4711


def test_the_holder_gives_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 0.02)
    with lock_folder(tmp_path):
        os.utime(tmp_path / LOCK, (1, 1))
        deadline = time.monotonic() + 20
        while (tmp_path / LOCK).stat().st_mtime < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"pid": 1}', json.dumps({**ELSEWHERE, "since": "x"})]
)
def test_a_lock_that_cannot_be_read_counts_by_its_age(tmp_path, monkeypatch, text):
    monkeypatch.setattr(lock, "SETTLE", 0.05)
    (tmp_path / LOCK).write_text(text)
    if text:
        refused(tmp_path, "is being worked on by another process: wait")
    os.utime(tmp_path / LOCK, (1, 1))
    with lock_folder(tmp_path):
        pass


@pytest.mark.parametrize("text", ["", "{", '{"token": "ab', "\0" * 150])
def test_what_a_power_cut_left_of_a_lock_holds_nobody_for_two_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
):
    (tmp_path / LOCK).write_text(text)
    slept = []
    monkeypatch.setattr(lock.time, "sleep", slept.append)
    monkeypatch.setattr(lock, "_age", lambda _: sum(slept))
    with lock_folder(tmp_path) as held:
        held.check()
    assert sum(slept) < 2
    assert not [*tmp_path.iterdir()]


def test_a_lock_is_never_seen_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seen, write, link = list[str](), os.write, os.link

    def looked(handle: int, content: bytes) -> int:
        seen.extend(path.name for path in tmp_path.iterdir())
        return write(handle, content)

    def named(source: Path, target: Path) -> None:
        link(source, target)
        assert (read_holder(tmp_path) or {})["pid"] == os.getpid()
        refused(tmp_path, "is being worked on")

    monkeypatch.setattr(os, "write", looked)
    monkeypatch.setattr(os, "link", named)
    with lock_folder(tmp_path):
        pass
    assert len(seen) == 1
    assert seen[0].startswith(TEMPORARY)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("stale", [False, True])
def test_where_files_have_one_name_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stale: bool
):
    def unknown(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", unknown)
    if stale:
        sign(tmp_path, age=lock.STALE * 2)
    with lock_folder(tmp_path) as held:
        held.check()
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]
        refused(tmp_path, f"process {os.getpid()} on")
    assert not [*tmp_path.iterdir()]


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def make_sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (make_pipe, "to be a file, as hormesis writes it there: delete it, or choose another"),
        (make_socket, "to be a file, as hormesis"),
        (Path.mkdir, "to be a file, as hormesis"),
        (make_sparse, "to be no larger than 4096 bytes, as hormesis writes it"),
    ],
)
def test_what_is_no_lock_is_told_at_once(tmp_path: Path, make: Any, words: str):
    make(tmp_path / LOCK)
    refused(tmp_path, rf"Expected .*\.lock {words}")
    with pytest.raises(TrainingError, match=words), lock_folder(tmp_path, TrainingError):
        pytest.fail("the block must not be entered")
    assert lock.holder_of(tmp_path) is None
    lock.drop_stale(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]


@pytest.mark.parametrize("leads", ["/dev/zero", "/dev/null", LOCK, "nowhere"])
def test_a_link_is_no_lock(tmp_path: Path, leads: str):
    (tmp_path / LOCK).symlink_to(leads)
    with pytest.raises(OSError, match="symbolic links"), lock_folder(tmp_path):
        pytest.fail("the block must not be entered")
    assert lock.holder_of(tmp_path) is None
    assert (tmp_path / LOCK).is_symlink()


def test_a_stale_lock_is_dropped_and_no_other(tmp_path: Path):
    lock.drop_stale(tmp_path)
    with holding(tmp_path) as process:
        lock.drop_stale(tmp_path)
        assert (read_holder(tmp_path) or {})["pid"] == process.pid
        process.kill()
        process.wait()
        lock.drop_stale(tmp_path)
    assert not [*tmp_path.iterdir()]
    sign(tmp_path, age=0)
    lock.drop_stale(tmp_path)
    assert (read_holder(tmp_path) or {})["pid"] == 4711


def test_a_name_that_is_too_long_or_no_letters_is_spelled_out_safely(tmp_path):
    sign(tmp_path, age=0, host="\x1b[31m" + "x" * 999)
    with pytest.raises(StudyError) as caught, lock_folder(tmp_path):
        pass
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("before", [None, "{}"], ids=["new", "left behind"])
def test_a_name_that_cannot_be_written_holds_nothing(
    before: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if before is not None:
        (tmp_path / LOCK).write_text(json.dumps(ELSEWHERE))
        os.utime(tmp_path / LOCK, (0, 0))
    write = os.write
    with monkeypatch.context() as full:

        def half(handle: int, content: bytes) -> int:
            write(handle, content[:20])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        full.setattr(os, "write", half)
        with pytest.raises(OSError, match="No space left"), lock_folder(tmp_path):
            pass
    assert not (tmp_path / LOCK).exists()
    with lock_folder(tmp_path):
        pass


def test_a_killed_holder_is_dead_before_its_parent_has_noticed(tmp_path: Path) -> None:
    with holding(tmp_path) as process:
        assert (lock.holder_of(tmp_path) or {}).get("pid") == process.pid
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # nobody has taken note of it
        assert lock.holder_of(tmp_path) is None


@pytest.mark.parametrize("whole", [True, False], ids=["new", "old"])
def test_a_study_is_read_after_a_death_in_the_instant_of_its_replacement(
    whole: bool, tmp_path: Path
) -> None:
    out = tmp_path / "study"
    killed.analyze(out, "usual")
    expected = load_study(out).responses
    out.rename(predecessor(out))
    if whole:
        shutil.copytree(predecessor(out), successor(out))
        (predecessor(out) / "manifest.json").unlink()
    assert load_study(out).responses.equals(expected)
    assert not verify_study(out).missing
