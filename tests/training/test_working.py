"""What the system refuses while a training works is one sentence, whichever library reports it."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import hormesis as hm
import torn
from hormesis.errors import SettingError, TrainingError
from hormesis.results.training_run import load_run
from hormesis.storage.ownership import MARKER, TRAINING
from hormesis.training import checkpointing
from hormesis.training.run_folder import explaining_errors, locked_run

AGAIN = r"run the same command again"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EIO, "Input/output error"), "look after the disk"),
        (OSError(errno.ENOSPC, "No space left"), "free some space"),
        (OSError(errno.EMFILE, "Too many", "/dev/urandom"), "urandom.: allow more open files"),
        (RuntimeError("[enforce fail at inline_container.cc:668] . unexpected pos"), "disk"),
        (RuntimeError("PytorchStreamWriter failed writing file data/0"), "look after the disk"),
        (RuntimeError("DataLoader worker (pid 7) exited unexpectedly"), "look after the disk"),
        (RuntimeError("Too many open files. Communication with the workers"), "`ulimit -n`"),
        (RuntimeError("unable to open shared memory object </torch_1>"), "look after the disk"),
    ],
)
def test_errors_of_the_system_say_what_to_do(tmp_path, error, words):
    with (
        pytest.raises(TrainingError, match=rf"training in .*run was stopped \(.*{words}.*{AGAIN}"),
        explaining_errors(tmp_path / "run"),
    ):
        raise error


def test_an_error_behind_another_one_is_found(tmp_path):
    hidden = RuntimeError("cannot save")
    hidden.__cause__ = OSError(errno.EIO, "Input/output error")
    with (
        pytest.raises(TrainingError, match=r"stopped \(Input/output error\)"),
        explaining_errors(tmp_path),
    ):
        raise hidden


@pytest.mark.parametrize("number", [errno.EPERM, errno.EACCES, errno.EROFS])
def test_a_place_that_cannot_be_written_is_another_matter(tmp_path, number):
    with (
        pytest.raises(TrainingError, match=r"cannot be written: .*\. Choose another one with"),
        explaining_errors(tmp_path),
    ):
        raise OSError(number, os.strerror(number), str(tmp_path / "manifest.json"))


@pytest.mark.parametrize(
    "error", [RuntimeError("my own"), ValueError("mine"), ImportError("mine"), EOFError("mine")]
)
def test_errors_of_a_users_own_pass(tmp_path, error):
    with pytest.raises(Exception, match=str(error)) as raised, explaining_errors(tmp_path):
        raise error
    assert raised.value is error


@contextmanager
def few_files() -> Iterator[None]:
    """Let no file more be opened."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(os.devnull, os.O_RDONLY)  # the lowest number that is free
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("at", ["write_checkpoint", "write_record", "write_metrics"])
def test_too_few_open_files_lose_nothing(tmp_path, monkeypatch, at):
    torn.run("train", tmp_path / "peace")
    real, calls = getattr(checkpointing, at), []

    def failing(*given):
        calls.append(at)
        if len(calls) != 2:
            return real(*given)
        with few_files():
            return real(*given)

    monkeypatch.setattr(checkpointing, at, failing)
    with pytest.raises(TrainingError, match=rf"cannot be written .*allow more open files.*{AGAIN}"):
        torn.run("train", tmp_path / "run")
    assert load_run(tmp_path / "run").record is not None
    torn.run("train", tmp_path / "run")
    assert torn.kept(tmp_path / "run") == torn.kept(tmp_path / "peace")


def test_a_folder_is_marked_and_given_back_if_nothing_came_of_it(tmp_path):
    folder = tmp_path / "a" / "run"

    def work(*, write: bool) -> None:
        with locked_run(folder, TRAINING):
            assert (folder / MARKER).is_file()
            if write:
                (folder / "mine").touch()
            raise ValueError("nothing came of it")

    with pytest.raises(ValueError, match="nothing came"):
        work(write=False)
    assert not [*tmp_path.iterdir()]
    with pytest.raises(ValueError, match="nothing came"):
        work(write=True)
    assert {path.name for path in folder.iterdir()} == {MARKER, "mine"}


def test_more_epochs_than_a_record_holds_are_refused():
    with pytest.raises(SettingError, match="`epochs` to be at most 30,000"):
        hm.Recipe(epochs=30_001)
