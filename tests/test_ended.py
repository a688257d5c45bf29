"""SIGTERM and Ctrl-C while something is measured or trained: it ends soon, and goes on later."""

import os
import signal

import pytest

from hormesis.cli.app import main
from hormesis.measure.shard_worker import ShardWorker
from hormesis.report.plots import overview
from hormesis.training.checkpointing import EpochWriter
from users import forgotten, listing, settle

INPUTS = ["--model", "my.nets:build", "--data", "my.sets:held_out", "--no-progress"]
ANALYZE = ["analyze", *INPUTS, "--thresholds", "3", "--epsilon", "0.1", "--engine", "plain"]
TRAIN = ["train", *INPUTS, "--epochs", "3", "--loggers", "{}"]
AGAIN = "run the same command again to go on.\n"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    settle(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(overview, "draw_overview", lambda study, path: path.write_bytes(b"drawn"))
    with forgotten():
        yield tmp_path


def sending(number, method, at):
    """A method that sends a signal to this process before its call of that number."""
    calls = []

    def sent(self, *given, **options):
        calls.append(True)
        if len(calls) == at:
            os.kill(os.getpid(), number)
        return method(self, *given, **options)

    return sent


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGINT, 130, f"hormesis: interrupted; {AGAIN}"),
        (signal.SIGTERM, 143, f"hormesis: ended by SIGTERM; {AGAIN}"),
        (signal.SIGHUP, 129, f"hormesis: ended by SIGHUP; {AGAIN}"),
    ],
)
def test_a_training_keeps_its_epochs(number, code, said, home, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        ends = sending(number, EpochWriter.on_train_epoch_start, 2)
        patched.setattr(EpochWriter, "on_train_epoch_start", ends)
        assert main([*TRAIN, "--out", "run"]) == code
    assert capsys.readouterr() == ("", said)
    kept = listing(home / "run" / "checkpoints")
    assert {name for name in kept if not name.startswith(".")} >= {"epoch-0000.safetensors"} or kept
    assert not [name for name in listing(home) if "partial" in name or "tmp" in name]
    assert main([*TRAIN, "--out", "run"]) == 0
    assert main([*TRAIN, "--out", "other"]) == 0
    assert listing(home / "run" / "checkpoints") == listing(home / "other" / "checkpoints")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_study_keeps_its_shards(number, code, home, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        patched.setattr(ShardWorker, "__call__", sending(number, ShardWorker.__call__, 2))
        assert main([*ANALYZE, "--out", "study"]) == code
    assert capsys.readouterr().err.endswith(AGAIN)
    kept = listing(home / "study")
    assert not [name for name in kept if "partial" in name or "tmp" in name]
    assert main([*ANALYZE, "--out", "study"]) == 0
    assert main([*ANALYZE, "--out", "other"]) == 0
    shards = [name for name in listing(home / "other") if name.endswith(".safetensors")]
    assert shards
    for name in shards:
        there = listing(home / "study")[name]
        assert there == listing(home / "other")[name]
