"""Retraining and its controls: what is trained, what stays, and what is refused."""

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import hormesis as hm
from hormesis.errors import DataError, ModelError, SettingError, StudyError, TrainingError
from hormesis.models.checkpoints import load_checkpoint
from hormesis.results.retraining import is_retraining
from hormesis.training import checkpointing
from hormesis.training.source_lookup import is_trained_on_digits
from hormesis.training.train import train
from retrained import QUIET, data, network, sets, study, upper

RECIPE = hm.Recipe(epochs=2, batch_size=8, lr=0.01, seed=3)


def retrained(out, *, of=None, **options):
    of = of or study()
    settings: dict[str, Any] = {
        "selection": upper(of),
        "recipe": RECIPE,
        "source": hm.SourceNetwork(network=network()),
        "trainer_config": QUIET,
    }
    return hm.retrain(of, sets(), out=out, **settings | options)


def trained_names(made):
    return set(made.manifest["question"]["retraining"]["trained"])


# --- what is trained, and what stays ------------------------------------------------------------


@pytest.mark.parametrize("batchnorm", ["frozen", "follow"])
@pytest.mark.parametrize("per", ["tensor", "channel"])
def test_what_is_frozen_is_equal_in_every_checkpoint_and_the_rest_has_moved(
    tmp_path, per, batchnorm
):
    recipe = hm.Recipe(
        epochs=2, batch_size=8, lr=0.01, optimizer="AdamW", optimizer_options={"weight_decay": 0.5}
    )
    selection = upper(study(per), batchnorm=batchnorm)
    made = retrained(tmp_path / "run", of=study(per), selection=selection, recipe=recipe)
    start = network().state_dict()
    trained = made.manifest["question"]["retraining"]["trained"]
    checkpoints = hm.load_run(made.folder).checkpoints
    assert list(checkpoints) == [0, 1, 2]
    for epoch, path in checkpoints.items():
        now = load_file(path)
        for name in dict(network().named_parameters()):
            if name not in trained:
                assert torch.equal(now[name], start[name])
            elif epoch and trained[name] == "all":
                assert not torch.equal(now[name], start[name])
            elif epoch:
                on = torch.tensor([letter == "1" for letter in trained[name]])
                assert torch.equal(now[name][~on], start[name][~on])
                assert not torch.equal(now[name][on], start[name][on])
    still = made.manifest["frozen"]["statistics"]
    assert bool(still) == (batchnorm == "frozen")
    last = load_file(checkpoints[2])
    for norm in ("1", "4"):
        same = torch.equal(last[f"{norm}.running_mean"], start[f"{norm}.running_mean"])
        assert same == (norm in still)


def test_the_manifest_says_what_was_frozen_and_that_it_stayed(tmp_path):
    made = retrained(tmp_path / "run")
    again = hm.load_retraining(tmp_path / "run")
    assert again.manifest == json.loads(json.dumps(made.manifest))
    assert again.manifest["retraining"] == 1
    assert again.manifest["frozen"]["equal"].startswith("bit for bit")
    assert again.manifest["frozen"]["values"] > 0
    assert again.selection["arm"] == "selective"
    assert again.selection["trained_parameters"] + again.selection["frozen_parameters"] == sum(
        value.numel() for value in network().parameters()
    )
    about = study().manifest["question"]["network"]
    assert again.manifest["study"]["fingerprint"] == about["fingerprint"]
    assert again.manifest["recipe"]["rate"] == 0.01
    assert again.accuracy is None
    assert again.effects is None
    assert repr(again) == "Retraining(Sequential, no controls)"


def test_the_network_given_stays_as_it_is(tmp_path):
    given = network()
    retrained(tmp_path / "run", source=hm.SourceNetwork(network=given))
    assert all(
        torch.equal(value, other)
        for value, other in zip(
            given.state_dict().values(), network().state_dict().values(), strict=True
        )
    )


def test_it_is_the_training_of_a_plain_loop_over_the_trained_parameters(tmp_path):
    """Batch norms of frozen layers in evaluation mode, Adam over the others: eight lines."""
    from hormesis.training.loaders import epoch_order

    made = retrained(tmp_path / "run")
    plain = network().to(memory_format=torch.channels_last)
    trained = trained_names(made)
    optimizer = torch.optim.Adam(
        [value for name, value in plain.named_parameters() if name in trained], lr=0.01
    )
    inputs, labels = data()
    for epoch in range(2):
        for rows in epoch_order(40, seed=3, epoch=epoch).split(8):
            plain.train()
            for name in made.manifest["frozen"]["statistics"]:
                plain.get_submodule(name).eval()
            optimizer.zero_grad()
            nn.functional.cross_entropy(plain(inputs[rows]), labels[rows]).backward()
            optimizer.step()
    found = load_checkpoint(hm.load_run(made.folder).checkpoints[2])
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-7)


def test_a_run_that_was_cut_goes_on_and_ends_alike(tmp_path, monkeypatch):
    whole = retrained(tmp_path / "whole")
    real, calls = checkpointing.write_metrics, []

    def failing(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("cut")
        return real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(checkpointing, "write_metrics", failing)
        with pytest.raises(RuntimeError, match="cut"):
            retrained(tmp_path / "cut")
    again = retrained(tmp_path / "cut")
    one, two = (load_checkpoint(hm.load_run(made.folder).checkpoints[2]) for made in (whole, again))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert again.manifest["frozen"] == whole.manifest["frozen"]


def test_it_can_be_trained_against_an_attack(tmp_path):
    recipe = hm.Recipe(epochs=1, batch_size=8, attack=hm.PGD(0.05, steps=2), adversarial=True)
    hardened = retrained(tmp_path / "hardened", recipe=recipe)
    plain = retrained(tmp_path / "plain", recipe=hm.Recipe(epochs=1, batch_size=8))
    one, two = (
        load_checkpoint(hm.load_run(made.folder).checkpoints[1]) for made in (hardened, plain)
    )
    trained = trained_names(hardened)
    assert all(torch.equal(one[name], two[name]) == (name not in trained) for name in trained)
    assert hm.load_run(hardened.folder).metrics["adversarial_accuracy"].between(0, 1).all()


# --- from a training to studies to a retraining to studies --------------------------------------


def test_the_circle_closes(tmp_path, monkeypatch):
    """Train, analyse, retrain and analyse again, all by names; nothing but folders in between."""
    from users import forgotten, settle

    settle(tmp_path)
    nets = tmp_path / "my" / "nets.py"
    nets.write_text(
        nets.read_text() + "def two_layers():\n"
        "    with torch.random.fork_rng(devices=[]):\n"
        "        torch.manual_seed(0)\n"
        "        return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4))\n"
    )
    monkeypatch.chdir(tmp_path)
    plain = hm.Execution(engine="plain", progress=False)
    sweep, attack = hm.Sweep(thresholds=5), hm.FGSM(0.05)
    with forgotten():
        recipe = hm.Recipe(epochs=2, lr=0.05, batch_size=10)
        hm.train(
            "my.nets:two_layers", "my.sets:held_out", out="run", recipe=recipe, trainer_config=QUIET
        )
        hm.analyze_epochs(
            hm.CheckpointSelection("run", epochs=(2,), allow_code=True),
            out="studies",
            attack=attack,
            sweep=sweep,
            execution=plain,
        )
        of = hm.load_study("studies/epoch-0002")
        assert isinstance(of, hm.Study)
        with pytest.raises(SettingError, match=r"names code for its model, .*`allow_code`"):
            hm.retrain(of, out="again", selection=upper(of), recipe=RECIPE, trainer_config=QUIET)
        trusted = hm.SourceNetwork(allow_code=True)
        made = hm.retrain(
            of,
            out="again",
            selection=upper(of),
            recipe=RECIPE,
            source=trusted,
            trainer_config=QUIET,
        )
        assert hm.load_run("again").manifest["question"]["network"]["name"] == "my.nets:two_layers"
        studies, damaged = hm.analyze_epochs(
            hm.CheckpointSelection("again", allow_code=True),
            out="later",
            attack=attack,
            sweep=sweep,
            execution=plain,
        )
        assert damaged == {}
        assert list(studies.members) == [1, 2]
        (tmp_path / "run").rename(tmp_path / "moved")
        with pytest.raises(TrainingError, match=r"training .*run, which is not there: name its"):
            hm.retrain(of, out="b", selection=upper(of), trainer_config=QUIET)
        found = hm.retrain(
            of,
            out="b",
            selection=upper(of),
            recipe=RECIPE,
            source=hm.SourceNetwork(run="moved", allow_code=True),
            trainer_config=QUIET,
        )
        assert found.manifest["study"] == made.manifest["study"]
        with pytest.raises(StudyError, match="holds the studies of epochs 1, 2: name that of one"):
            hm.retrain("later", out="c")


@pytest.mark.slow
def test_the_network_that_is_trained_on_the_digits_is_trained_again(tmp_path, monkeypatch):
    from hormesis.cli.app import main

    monkeypatch.chdir(tmp_path)
    words = "analyze --model squeezenet1_1 --thresholds 5 --samples 40 --out study --no-progress"
    assert main(words.split()) == 0
    words = "retrain study --epochs 1 --reference base --undecided estimate --out run --no-progress"
    assert main(words.split()) == 0
    made = hm.load_retraining("run")
    assert made.manifest["frozen"]["values"] > 0
    assert made.manifest["question"]["data"]["name"] == "digits"


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("resnet18", "digits", True),
        ("Sequential", "digits", False),
        ("my.nets:build", "digits", False),
        ("resnet18", "mnist", False),
    ],
)
def test_only_a_named_network_on_the_digits_can_be_trained_again(name, data, expected):
    of = study()
    question = {
        **of.manifest["question"],
        "network": {**of.manifest["question"]["network"], "name": name},
        "data": {**of.manifest["question"]["data"], "name": data},
    }
    assert is_trained_on_digits(replace(of, manifest={"question": question})) == expected


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"source": hm.SourceNetwork()},
            TrainingError,
            r"Sequential, is not at hand: name its checkpoint",
        ),
        (
            {"source": hm.SourceNetwork(network=network(1))},
            ModelError,
            "another network than the one giv",
        ),
        (
            {"source": hm.SourceNetwork(run="nowhere")},
            TrainingError,
            "no folder nowhere of a training",
        ),
        (
            {"selection": hm.Selection(scoring=hm.Scoring(tolerance=9.0), undecided="estimate")},
            SettingError,
            "Nothing would be frozen: of 3 targets .* 3 robust. That is regular training",
        ),
        (
            {"selection": hm.Selection(("fragile",), scoring=hm.Scoring(tolerance=9.0))},
            SettingError,
            "Nothing would be trained: of 3 targets",
        ),
    ],
)
def test_what_cannot_be_retrained_is_refused_and_leaves_nothing(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        retrained(tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_data_of_another_shape_or_classes_are_refused(tmp_path):
    origin = hm.SourceNetwork(network=network())
    for inputs, labels, message in (
        (torch.rand(40, 1, 9, 9), data()[1], r"shape \[1, 8, 8\], as the study .* got \[1, 9, 9\]"),
        (data()[0], torch.arange(40) % 4, "a number of classes of 3, .* got 4"),
    ):
        with pytest.raises(DataError, match=message):
            hm.retrain(
                study(),
                ((inputs, labels),) * 2,
                out=tmp_path / "run",
                selection=upper(study()),
                source=origin,
                trainer_config=QUIET,
            )
    with pytest.raises(SettingError, match="Expected `data`, to train on: the study is of custom"):
        hm.retrain(study(), out=tmp_path / "run", selection=upper(study()), source=origin)
    assert not (tmp_path / "run").exists()


def test_a_training_that_diverges_stops_with_a_sentence(tmp_path):
    recipe = hm.Recipe(optimizer="SGD", lr=3e38, optimizer_options={"weight_decay": 1e3})
    with pytest.raises(TrainingError, match="Training diverged in epoch"):
        retrained(tmp_path / "run", recipe=recipe)


def test_another_selection_in_the_same_folder_is_refused(tmp_path):
    retrained(tmp_path / "run")
    with pytest.raises(TrainingError, match="holds another training"):
        retrained(tmp_path / "run", selection=upper(study(), others="freeze"))
    train(network(), sets(), out=tmp_path / "regular", recipe=RECIPE, trainer_config=QUIET)
    with pytest.raises(TrainingError, match="holds another training"):
        retrained(tmp_path / "regular")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "has no manifest.json"),
        ("no json", "is damaged"),
        ('{"training": 1}', "is no retraining: its manifest.json is another's"),
        ('{"retraining": 99}', "format 99, this version reads up to 1"),
        ('{"retraining": 1, "study": {}}', "lacks a proper `study.network`"),
    ],
)
def test_a_folder_that_is_no_retraining_is_refused(tmp_path, text, message):
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(TrainingError, match=message):
        hm.load_retraining(tmp_path)
    assert is_retraining(tmp_path) == (text is not None and "retraining" in text)
