"""Training: the weights, whatever interrupts it, and what it refuses."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import hormesis as hm
from hormesis.errors import DataError, MissingExtraError, ModelError, SettingError, TrainingError
from hormesis.models.checkpoints import load_checkpoint
from hormesis.storage.lock import lock_folder
from hormesis.training import checkpointing
from hormesis.training.loaders import epoch_order
from hormesis.training.train import train
from parameters import one_at_a_time

QUIET = hm.TrainerConfig(progress=False, loggers={}, device="cpu")


def data(count=30, seed=0):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.rand(count, 1, 8, 8, generator=generator)
    return inputs, torch.arange(count) % 3


def network(seed=0, dropout=0.3):
    """A small convolutional network; its weights depend on ``seed`` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(144, 3),
        )


def trained(out, *, trainer_config=QUIET, model: nn.Module | None = None, **recipe):
    options: dict[str, Any] = {"epochs": 4, "batch_size": 8, "seed": 3} | recipe
    sets = (data(), data(12, 1))
    made = network() if model is None else model
    return train(made, sets, out=out, recipe=hm.Recipe(**options), trainer_config=trainer_config)


def weights(run):
    """All weights of a run, by epoch and name."""
    return {epoch: load_checkpoint(path) for epoch, path in run.checkpoints.items()}


def equal(one, other):
    return one.keys() == other.keys() and all(
        one[epoch].keys() == other[epoch].keys()
        and all(torch.equal(one[epoch][name], other[epoch][name]) for name in one[epoch])
        for epoch in one
    )


# --- the weights --------------------------------------------------------------------------------


def test_the_weights_are_those_of_a_plain_loop(tmp_path):
    """Adam, batches of 8, cross-entropy: five lines of PyTorch, on the same order."""
    run = trained(tmp_path / "run", model=network(dropout=0.0), epochs=2)
    plain = network(dropout=0.0).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-3)
    inputs, labels = data()
    losses = []
    for epoch in range(2):
        total = 0.0
        for rows in epoch_order(30, seed=3, epoch=epoch).split(8):
            optimizer.zero_grad()
            loss = cross_entropy(plain(inputs[rows]), labels[rows])
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(rows)
        losses.append(total / 30)
        found = load_checkpoint(run.checkpoints[epoch + 1])
        for name, value in plain.state_dict().items():
            torch.testing.assert_close(found[name], value, rtol=1e-6, atol=1e-8)
    assert run.metrics["train_loss"].tolist() == pytest.approx(losses, abs=1e-6)
    plain.eval()
    inputs, labels = data(12, 1)
    with torch.no_grad():
        right = (plain(inputs).argmax(dim=1) == labels).float().mean()
    assert run.metrics["validation_accuracy"].iloc[-1] == pytest.approx(float(right), abs=1e-6)


def test_the_seed_alone_decides_and_the_global_state_stays(tmp_path):
    runs = []
    for noise in range(2):
        torch.manual_seed(noise)
        before = torch.get_rng_state()
        runs.append(trained(tmp_path / str(noise), epochs=1))
        assert torch.equal(torch.get_rng_state(), before)
    assert equal(weights(runs[0]), weights(runs[1]))
    other = trained(tmp_path / "other", epochs=1, seed=4)
    assert not equal(weights(runs[0]), weights(other))


def test_the_number_of_loaders_changes_nothing(tmp_path):
    augment = {"RandomCrop": {"size": 8, "padding": 2}, "RandomHorizontalFlip": None}
    one = trained(tmp_path / "one", epochs=2, augment=augment)
    session = hm.TrainerConfig(progress=False, loggers={}, device="cpu", num_workers=2)
    two = trained(tmp_path / "two", epochs=2, augment=augment, trainer_config=session)
    assert equal(weights(one), weights(two))
    plain = trained(tmp_path / "plain", epochs=2)
    assert not equal(weights(one), weights(plain))


def test_training_against_the_attack_differs_and_both_are_measured(tmp_path):
    attack = hm.FGSM(0.2)
    clean = trained(tmp_path / "clean", epochs=2, attack=attack)
    hardened = trained(tmp_path / "hardened", epochs=2, attack=attack, adversarial=True)
    for run in (clean, hardened):
        rows = run.metrics
        assert rows["adversarial_accuracy"].between(0, 1).all()
    assert not equal(weights(clean), weights(hardened))
    assert equal(weights(clean), weights(trained(tmp_path / "none", epochs=2)))
    assert clean.manifest["question"]["recipe"]["attack"] == {"name": "fgsm", "epsilon": 0.2}


def test_the_network_given_is_trained_in_place_and_left_ready(tmp_path):
    given = network()
    run = trained(tmp_path / "run", model=given, epochs=1)
    last = load_checkpoint(run.checkpoints[1])
    assert all(torch.equal(value, last[name]) for name, value in given.state_dict().items())
    assert not any(part.training for part in given.modules())
    assert all(value.grad is None and value.is_contiguous() for value in given.parameters())


def test_a_network_in_evaluation_mode_is_trained_all_the_same(tmp_path):
    one, two = (
        trained(tmp_path / name, epochs=1, model=made)
        for name, made in (("training", network()), ("evaluation", network().eval()))
    )
    assert equal(weights(one), weights(two))


@pytest.mark.parametrize(("every", "there"), [(1, [0, 1, 2, 3, 4]), (3, [0, 3, 4])])
def test_checkpoints_are_kept_as_often_as_asked_and_at_both_ends(tmp_path, every, there):
    session = hm.TrainerConfig(progress=False, loggers={}, device="cpu", checkpoint_every=every)
    assert list(trained(tmp_path / "run", trainer_config=session).checkpoints) == there


# --- interruptions ------------------------------------------------------------------------------

RECIPES = {
    "adam": {},
    "momentum": {
        "optimizer": "SGD",
        "optimizer_options": {"momentum": 0.9},
        "schedule": "StepLR",
        "schedule_options": {"step_size": 1, "gamma": 0.5},
    },
    "one cycle": {"schedule": "OneCycleLR"},
    "plateau": {
        "schedule": "ReduceLROnPlateau",
        "schedule_options": {"patience": 0, "threshold": 1.0, "factor": 0.1},
    },
    "augmented": {"augment": {"RandomCrop": {"size": 8, "padding": 1}}},
    "adversarial": {"attack": hm.PGD(0.1, steps=2), "adversarial": True},
}


class StopError(Exception):
    """In the place of a kill."""


@pytest.mark.parametrize(
    ("recipe", "at"), one_at_a_time(RECIPES, ["write_checkpoint", "write_metrics"])
)
def test_a_resumed_training_ends_as_an_uninterrupted_one(tmp_path, monkeypatch, recipe, at):
    whole = trained(tmp_path / "whole", **RECIPES[recipe])
    real, calls = getattr(checkpointing, at), []

    def failing(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise StopError
        return real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(checkpointing, at, failing)
        with pytest.raises(StopError):
            trained(tmp_path / "cut", **RECIPES[recipe])
    again = trained(tmp_path / "cut", **RECIPES[recipe])
    assert equal(weights(again), weights(whole))
    left, right = (run.metrics.drop(columns="seconds") for run in (again, whole))
    assert left.equals(right)
    assert left["epoch"].tolist() == [1, 2, 3, 4]
    assert len(again.manifest["sessions"]) == 2


CHILD = """
import sys
sys.path[:0] = sys.argv[2:]
from test_train import trained
from pathlib import Path
trained(Path(sys.argv[1]), epochs=15)
"""


def test_a_killed_process_is_taken_up_where_it_stopped(tmp_path):
    whole = trained(tmp_path / "whole", epochs=15)
    killed = tmp_path / "killed"
    words = [sys.executable, "-c", CHILD, str(killed), str(Path(__file__).parent)]
    child = subprocess.Popen(words, env={**os.environ, "OMP_NUM_THREADS": "1"})
    while child.poll() is None and not (killed / "checkpoints" / "epoch-0004.safetensors").exists():
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    again = trained(killed, epochs=15)
    assert equal(weights(again), weights(whole))
    assert again.metrics["epoch"].tolist() == list(range(1, 16))


@contextmanager
def files_no_larger_than(size):
    """Let the disk be full beyond so many bytes a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(("size", "file"), [(1_500, "epoch-0000"), (5_000, "resume-0001.ckpt")])
def test_a_full_disk_is_a_sentence_and_the_training_goes_on_later(tmp_path, size, file):
    with (
        files_no_larger_than(size),
        pytest.raises(TrainingError, match=rf"{file}.* cannot be written .*: free some space"),
    ):
        trained(tmp_path / "run", epochs=2)
    assert not list(tmp_path.rglob(".*partial"))
    again = trained(tmp_path / "run", epochs=2)
    assert equal(weights(again), weights(trained(tmp_path / "whole", epochs=2)))


def test_two_processes_do_not_train_in_one_folder(tmp_path):
    (tmp_path / "run").mkdir()
    with (
        lock_folder(tmp_path / "run"),
        pytest.raises(TrainingError, match=r"run is being worked on by process \d+ on"),
    ):
        trained(tmp_path / "run")
    assert not [*(tmp_path / "run").iterdir()]


def test_more_epochs_go_on_and_fewer_change_nothing(tmp_path):
    first = trained(tmp_path / "run", epochs=2)
    assert list(trained(tmp_path / "run", epochs=4).checkpoints) == [0, 1, 2, 3, 4]
    shorter = trained(tmp_path / "run", epochs=1)
    assert list(shorter.checkpoints) == [0, 1, 2, 3, 4]
    assert shorter.manifest["question"]["recipe"]["epochs"] == 4
    assert equal(weights(first), weights(trained(tmp_path / "whole", epochs=4)))


def test_an_interruption_is_one(tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(checkpointing, "write_metrics", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "run")
    assert signal.getsignal(signal.SIGINT) is before


# --- refusals -----------------------------------------------------------------------------------


def test_another_training_in_the_same_folder_is_refused(tmp_path):
    trained(tmp_path / "run", epochs=1)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    sets = (data(), data(12, 1))
    recipe = hm.Recipe(epochs=1, batch_size=8, seed=3)
    for changed, message in (
        (lambda out: trained(out, epochs=1, lr=0.1), r"recipe.rate is 0.1 here and 0.001 there"),
        (lambda out: trained(out, epochs=1, model=network(1)), "network.fingerprint is"),
        (
            lambda out: train(
                network(), (data(27), sets[1]), out=out, recipe=recipe, trainer_config=QUIET
            ),
            "data.samples is 27 here and 30 there",
        ),
        (
            lambda out: train(
                network(), (data(seed=5), sets[1]), out=out, recipe=recipe, trainer_config=QUIET
            ),
            "data.fingerprint is",
        ),
    ):
        with pytest.raises(TrainingError, match=f"holds another training.*{message}.*`out`"):
            changed(tmp_path / "run")
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before


def test_the_epochs_belong_to_the_question_of_a_schedule(tmp_path):
    trained(tmp_path / "run", epochs=2, schedule="CosineAnnealingLR")
    with pytest.raises(TrainingError, match=r"recipe\.epochs is 3 here and 2 there"):
        trained(tmp_path / "run", epochs=3, schedule="CosineAnnealingLR")


def test_a_folder_of_something_else_stays(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(TrainingError, match="holds something else"):
        trained(tmp_path)
    with pytest.raises(TrainingError, match="got the file"):
        trained(tmp_path / "thesis.txt")
    with pytest.raises(TrainingError, match="cannot be written: Not a directory"):
        trained(tmp_path / "thesis.txt" / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_what_a_kill_at_the_very_start_leaves_is_no_obstacle(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".manifest.json.partial").write_text("{")
    assert list(trained(tmp_path / "run", epochs=1).checkpoints) == [0, 1]


class Exploding(nn.Module):
    """Finite in evaluation mode; in training mode, NaN from a step on."""

    def __init__(self, steps):
        super().__init__()
        self.inner = network()
        self.steps = steps

    def forward(self, inputs):
        if self.training:
            self.steps -= 1
        return self.inner(inputs) * (float("nan") if self.steps < 0 else 1.0)


def test_a_training_that_diverges_stops_and_keeps_the_last_good_checkpoint(tmp_path):
    with pytest.raises(TrainingError, match=r"diverged in epoch 3: .* NaN or infinite.*`lr`"):
        trained(tmp_path / "run", model=Exploding(9))
    run = hm.load_run(tmp_path / "run")
    assert list(run.checkpoints) == [0, 1, 2]
    assert run.metrics["epoch"].tolist() == [1, 2]
    last = load_checkpoint(run.checkpoints[2])
    assert all(bool(value.isfinite().all()) for value in last.values())


def test_weights_that_overflow_in_the_last_step_are_not_kept(tmp_path):
    """A single step, whose loss is finite and whose update is not."""
    recipe = {"batch_size": 30, "optimizer": "SGD", "lr": 3e38}
    with pytest.raises(TrainingError, match="diverged in epoch 1"):
        trained(tmp_path / "run", optimizer_options={"weight_decay": 1e3}, **recipe)
    assert list(hm.load_run(tmp_path / "run").checkpoints) == [0]


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"optimizer": "Adma"}, "Unknown optimizer 'Adma'. Did you mean Adam"),
        ({"optimizer_options": {"momentom": 1}}, "optimizer 'Adam' cannot be made with .*momentom"),
        ({"schedule": "Cosine"}, "Unknown schedule 'Cosine'"),
        ({"schedule": "StepLR"}, "schedule 'StepLR' cannot be made with no options: .*step_size"),
        ({"augment": {"RandomCorp": {}}}, "Unknown augmentation 'RandomCorp'. Did you mean Random"),
        ({"augment": {"RandomCrop": {"sise": 1}}}, "augmentation 'RandomCrop' cannot be made"),
        ({"optimizer": "math:pi"}, "'math:pi' failed: TypeError: 'float' object is not callable"),
    ],
)
def test_ingredients_that_there_are_not_are_refused(tmp_path, recipe, message):
    with pytest.raises(SettingError, match=message):
        trained(tmp_path / "run", **recipe)
    assert not (tmp_path / "run").exists()


def test_a_logger_that_there_is_not_is_refused(tmp_path):
    session = hm.TrainerConfig(progress=False, loggers={"TensorBordLogger": None}, device="cpu")
    with pytest.raises(
        SettingError, match=r"Unknown logger 'TensorBordLogger'\. Did you mean Tensor"
    ):
        trained(tmp_path / "run", trainer_config=session)


@pytest.mark.parametrize(
    ("sets", "error", "message"),
    [
        (3, DataError, "the name of a data set, or a pair"),
        ("mnits", DataError, "Unknown data set 'mnits'. Did you mean mnist"),
        ((data(), 3), DataError, "Expected a pair"),
        ((data()[0][:, :, :7], data()[1]), DataError, "Expected a pair"),
    ],
)
def test_data_of_another_kind_are_refused(tmp_path, sets, error, message):
    with pytest.raises(error, match=message):
        train(network(), sets, out=tmp_path / "run", trainer_config=QUIET)
    assert not (tmp_path / "run").exists()


def test_a_network_that_does_not_fit_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ModelError, match=r"2 output\(s\) and the data have 3 classes"):
        trained(tmp_path / "run", model=nn.Sequential(nn.Flatten(), nn.Linear(64, 2)))
    assert not (tmp_path / "run").exists()


# --- loggers ------------------------------------------------------------------------------------


def test_loggers_write_into_the_run(tmp_path):
    session = hm.TrainerConfig(
        progress=False, device="cpu", loggers={"TensorBoardLogger": None, "CSVLogger": None}
    )
    run = trained(tmp_path / "run", epochs=1, trainer_config=session)
    logged = [path.name for path in (run.folder / "logs").rglob("*") if path.is_file()]
    assert any(name.startswith("events.out.tfevents") for name in logged)
    assert "metrics.csv" in logged


def test_a_logger_whose_package_is_missing_names_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    session = hm.TrainerConfig(progress=False, device="cpu", loggers={"WandbLogger": None})
    with pytest.raises(MissingExtraError, match="WandbLogger needs more"):
        trained(tmp_path / "run", epochs=1, trainer_config=session)


# --- the folder ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "has no manifest.json"),
        ("no json", "is damaged"),
        ('{"format": 1}', "is no training: its manifest.json is another's"),
        ('{"training": 99}', "format 99, this version reads up to 2; install a newer"),
        ('{"training": 1}', "is damaged: it lacks"),
    ],
)
def test_a_folder_that_is_no_training_is_refused(tmp_path, text, message):
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(TrainingError, match=message):
        hm.load_run(tmp_path)


def test_epochs_without_a_checkpoint_are_named_with_those_that_have_one(tmp_path):
    run = trained(tmp_path / "run", epochs=2)
    assert list(run.chosen()) == [1, 2]
    assert list(run.chosen([2, 0])) == [0, 2]
    with pytest.raises(
        SettingError, match=r"no checkpoint of epoch 5, 7\. Its `epochs`: 0, 1, 2\."
    ):
        run.chosen([1, 5, 7])
    for path in run.checkpoints.values():
        path.unlink()
    with pytest.raises(TrainingError, match="has no checkpoints yet"):
        run.chosen()


def test_the_manifest_says_what_was_asked_and_with_what(tmp_path):
    run = trained(tmp_path / "run", epochs=1)
    said = json.loads((run.folder / "manifest.json").read_text())
    assert said["question"]["network"]["name"] == "Sequential"
    assert said["question"]["data"]["samples"] == 30
    assert said["question"]["data"]["validation_samples"] == 12
    assert said["question"]["recipe"]["rate"] == 1e-3
    (session,) = said["sessions"]
    assert {"hormesis", "torch"} <= session["versions"].keys()
    assert session["device"] == "cpu"
