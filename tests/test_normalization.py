"""What stands in front of a network: nothing unasked, once, said, and the same from Python."""

import pickle
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torchvision import datasets

import hormesis as hm
from hormesis.cli.app import main
from hormesis.data.datasets import NAMED_DATASETS
from hormesis.errors import SettingError, StudyError
from hormesis.models.networks import build_model
from hormesis.report.plots import overview
from hormesis.settings.network import ModelAndData
from hormesis.storage.files import read_manifest, write_manifest
from made_sets import write_mnist, write_tiny_imagenet

SETS = tuple(NAMED_DATASETS)
MANY = [
    name
    if name in ("mnist", "cifar10", "tiny-imagenet")
    else pytest.param(name, marks=pytest.mark.slow)
    for name in SETS
]
NETS = """
import torch
from torch import nn
import hormesis as hm

def tiny(channels, classes):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return nn.Sequential(
            nn.Conv2d(channels, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
            nn.Linear(8, classes),
        )

def grey(): return tiny(1, 10)
def colour(): return tiny(3, 10)
def three(): return tiny(3, 3)
def own(): return hm.normalized(tiny(1, 10), (0.25,), (0.5,))
"""
COMMON = ["--epsilon", "0.05", "--thresholds", "3", "--no-progress", "--engine", "plain"]
COMMON += ["--confirm", "never"]
SWEEP: dict[str, Any] = {
    "sweep": hm.Sweep(thresholds=3),
    "attack": hm.FGSM(0.05),
    "confirmation": hm.Confirmation(when="never"),
    "execution": hm.Execution(engine="plain", progress=False),
}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path))
    # What is drawn is no matter here, and takes longer than what is measured.
    monkeypatch.setattr(overview, "draw_overview", lambda study, path: path.write_bytes(b"drawn"))
    yield tmp_path
    for name in ("mine", "sets"):
        sys.modules.pop(name, None)


@pytest.fixture
def root(home, monkeypatch):
    """Small sets in the layout of the real ones."""
    write_mnist(home, train=10, test=20)
    (home / "FashionMNIST").symlink_to(home / "MNIST")
    write_tiny_imagenet(home)
    monkeypatch.setattr(datasets.CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr(datasets.cifar, "check_integrity", lambda path, md5=None: True)
    folder = home / "cifar-10-batches-py"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (20, 3 * 32 * 32), dtype=np.uint8)
    batch = {"data": pixels, "labels": [number % 10 for number in range(20)]}
    (folder / "test_batch").write_bytes(pickle.dumps(batch))
    names = {"label_names": [f"class {number}" for number in range(10)]}
    (folder / "batches.meta").write_bytes(pickle.dumps(names))
    return home


def factory(name):
    return {"cifar10": "colour", "tiny-imagenet": "three"}.get(name, "grey")


def built(name):
    scope: dict[str, object] = {}
    exec(NETS, scope)
    return scope[factory(name) if name in SETS else name]()  # pyright: ignore


def open_one(folder) -> hm.Study:
    study = hm.load_study(folder)
    assert isinstance(study, hm.Study)
    return study


def typed(*words, out="typed") -> Any:
    code = main(["analyze", *COMMON, "--out", out, *words])
    return None if code else open_one(out)


def same(one, other):
    assert one.responses.equals(other.responses)
    assert one.scores.equals(other.scores)
    networks = [study.manifest["question"]["network"] for study in (one, other)]
    assert networks[0]["fingerprint"] == networks[1]["fingerprint"]
    assert networks[0].get("normalization") == networks[1].get("normalization")


@pytest.mark.parametrize("name", MANY)
def test_a_network_of_one_s_own_gives_the_numbers_that_it_gives_in_python(root, name, capsys):
    samples = hm.load_data(name, root=root)
    few = ["--data", name, "--data-root", str(root), "--samples", "6", "--seed", "0"]
    study = typed("--model", f"mine:{factory(name)}", *few)
    assert "in front of the network" not in capsys.readouterr().out
    alone = hm.analyze(built(name), hm.load_data(name, root=root, samples=6, seed=0), **SWEEP)
    same(study, alone)
    assert "normalization" not in study.manifest["question"]["network"]
    # And where it is asked for, it is what `normalized` makes.
    study = typed("--model", f"mine:{factory(name)}", "--normalize", *few, out="asked")
    said = capsys.readouterr().out
    whole = hm.normalized(built(name), samples.mean, samples.std)
    same(study, hm.analyze(whole, hm.load_data(name, root=root, samples=6, seed=0), **SWEEP))
    shown = " ".join(f"{value:g}" for value in samples.mean)
    assert f"in front of the network: (input − mean) / std, mean {shown}, std" in said
    stored = study.manifest["question"]["network"]["normalization"]
    assert stored == {"mean": list(samples.mean), "std": list(samples.std)}


@pytest.mark.parametrize(
    "name",
    [
        name if name in ("cifar10", "tiny-imagenet") else pytest.param(name, marks=pytest.mark.slow)
        for name in SETS
    ],
)
def test_a_network_by_name_is_normalised_as_its_data_are(root, name):
    samples = hm.load_data(name, root=root, samples=4, seed=0)
    network = build_model(
        "squeezenet1_1",
        classes=samples.classes,
        channels=samples.inputs.shape[1],
        size=(64, 64),
        seed=0,
    )
    torch.save(network.state_dict(), "net.pt")
    only = ["--include", "classifier.1.weight", "--thresholds", "2", "--filters", "pulse_wave"]
    # Images of 8x8 are too small for it: what is built counts, not what is measured.
    if name == "tiny-imagenet":
        whole = hm.normalized(network, samples.mean, samples.std)
        assert isinstance(whole.mean, torch.Tensor)
        return
    words = ["--model", "squeezenet1_1", "--weights", "net.pt", "--data", name, *only]
    study = typed(*words, "--data-root", str(root), "--samples", "4")
    whole = hm.normalized(network, samples.mean, samples.std)
    targets = hm.Targets(include=("classifier.1.weight",))
    sweep = hm.Sweep(thresholds=2, filters=("pulse_wave",))
    asked: dict[str, Any] = SWEEP | {"targets": targets, "sweep": sweep}
    same(study, hm.analyze(whole, samples, **asked))


def test_a_network_that_brings_its_own_is_not_normalised_twice(capsys):
    study = typed("--model", "mine:own", "--data", "digits", "--samples", "20")
    assert study.manifest["question"]["network"]["normalization"] == {"mean": [0.25], "std": [0.5]}
    assert "mean 0.25, std 0.5" in capsys.readouterr().out
    assert typed("--model", "mine:own", "--data", "digits", "--normalize", out="twice") is None
    assert "normalises its inputs already" in capsys.readouterr().err


def test_other_numbers_can_be_asked_for(capsys):
    words = ["--model", "mine:grey", "--data", "digits", "--samples", "20"]
    study = typed(*words, "--mean", "0.25", "--std", "0.5")
    assert study.manifest["question"]["network"]["normalization"] == {"mean": [0.25], "std": [0.5]}
    whole = hm.normalized(built("grey"), (0.25,), (0.5,))
    same(study, hm.analyze(whole, hm.load_data("digits", samples=20, seed=0), **SWEEP))
    capsys.readouterr()
    for wrong, message in (
        (["--mean", "0.25"], "Expected one `--mean` and one `--std` for each channel"),
        (["--mean", "0.2", "--std", "0.5", "--no-normalize"], "no `--mean` and `--std` beside"),
        (["--mean", "0.2", "--std", "0"], "Expected `--std` to be finite and above 0"),
    ):
        assert typed(*words, *wrong, out="wrong") is None
        assert message in capsys.readouterr().err
    with pytest.raises(SettingError, match="Expected one `mean` and one `std`"):
        ModelAndData(std=(1.0,))


def test_a_normalisation_that_nobody_knows_is_refused(home, capsys):
    (home / "sets.py").write_text(
        "import torch\ndef made(): return torch.rand(20, 1, 8, 8), torch.arange(20) % 10\n"
    )
    assert typed("--model", "mine:grey", "--data", "sets:made", "--normalize") is None
    assert "Expected data whose normalisation is known for `--normalize`" in capsys.readouterr().err


def test_a_study_that_did_not_spell_it_out_is_gone_on_with(home):
    """Studies of before have the normalisation in the fingerprint alone."""
    whole = hm.normalized(built("grey"), (0.25,), (0.5,))
    data = hm.load_data("digits", samples=20, seed=0)
    study = hm.analyze(whole, data, out="s", **SWEEP)
    manifest = read_manifest(home / "s")
    del manifest["question"]["network"]["normalization"]
    write_manifest(home / "s", manifest)
    again = hm.analyze(whole, data, out="s", **SWEEP)
    assert again.responses.equals(study.responses)
    other = hm.normalized(built("grey"), (0.25,), (0.75,))
    with pytest.raises(StudyError, match=r"network\.fingerprint"):
        hm.analyze(other, data, out="s", **SWEEP)


def test_a_manifest_with_another_kind_of_normalisation_is_refused(home):
    whole = hm.normalized(built("grey"), (0.25,), (0.5,))
    hm.analyze(whole, hm.load_data("digits", samples=20, seed=0), out="s", **SWEEP)
    manifest = read_manifest(home / "s")
    for wrong in ({"mean": ["x"], "std": [1.0]}, {"mean": [1.0]}, 3):
        manifest["question"]["network"]["normalization"] = wrong
        write_manifest(home / "s", manifest)
        with pytest.raises(StudyError, match=r"question\.network\.normalization"):
            hm.load_study(home / "s")


@pytest.mark.parametrize("asked", [None, True])
def test_a_run_of_one_s_own_network_is_analysed_as_it_was_trained(home, asked):
    pytest.importorskip("lightning")
    recipe, quiet = hm.Recipe(epochs=1, attack=None), hm.TrainerConfig(progress=False, loggers={})
    corpus = hm.DataConfig(samples=40, normalize=asked)
    run = hm.train(
        "mine:grey", "digits", out="run", recipe=recipe, data_config=corpus, trainer_config=quiet
    )
    said = run.manifest["question"]
    assert said["data"]["normalize"] is (asked is True)
    numbers = {"mean": [0.3053], "std": [0.3237]} if asked else None
    assert said["network"].get("normalization") == numbers
    trained = hm.CheckpointSelection("run", epochs=(1,), samples=20, allow_code=True)
    studies, _ = hm.analyze_epochs(trained, out="epochs", **SWEEP)
    network = studies.members[1].manifest["question"]["network"]
    assert network.get("normalization") == numbers
