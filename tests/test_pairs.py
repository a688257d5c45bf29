"""The paper's networks on the paper's data: trained, kept, analysed over epochs."""

import os
from pathlib import Path

import pytest

import hormesis as hm
from hormesis.models.networks import PAPER
from hormesis.results.series import StudySeries
from made_sets import write_mnist, write_tiny_imagenet

DATA = os.environ.get("HORMESIS_DATA")
SETS = {
    "mnist": (10, [1, 28, 28]),
    "cifar10": (10, [3, 32, 32]),
    "tiny-imagenet": (200, [3, 64, 64]),
}


def goes_all_the_way(out, model, data, root, *, samples, stem="standard", measured=20):
    """Train two epochs, analyse both by three thresholds of the last layer, and read that back."""
    recipe = hm.Recipe(epochs=2, batch_size=20, stem=stem)
    corpus = hm.DataConfig(root=str(root), samples=samples)
    few = hm.TrainerConfig(validation_samples=measured, progress=False, loggers={}, device="cpu")
    run = hm.train(
        model, data, out=out / "run", recipe=recipe, data_config=corpus, trainer_config=few
    )
    assert list(run.checkpoints) == [0, 1, 2]
    assert run.metrics["epoch"].tolist() == [1, 2]
    last = "classifier.1.weight" if model.startswith("squeezenet") else "fc.weight"
    made, damaged = hm.analyze_epochs(
        hm.CheckpointSelection(run.folder, samples=measured),
        out=out / "studies",
        attack=hm.FGSM(0.02),
        targets=hm.Targets(include=(last,)),
        sweep=hm.Sweep(thresholds=3),
        confirmation=hm.Confirmation(when="never"),
        execution=hm.Execution(engine="plain", progress=False),
    )
    assert damaged == {}
    studies = hm.load_series(out / "studies")
    assert isinstance(studies, StudySeries)
    assert studies.responses.equals(made.responses)
    assert studies.responses["epoch"].value_counts().to_dict() == {1: 9, 2: 9}
    first, second = (study.manifest["question"] for study in studies.members.values())
    assert first["network"]["fingerprint"] != second["network"]["fingerprint"]
    assert first["data"] == second["data"]
    return first["data"]


def test_a_network_on_files_like_mnist_s(tmp_path):
    write_mnist(tmp_path / "data", train=60, test=40)
    said = goes_all_the_way(tmp_path, "shufflenet_v2_x1_0", "mnist", tmp_path / "data", samples=40)
    assert (said["name"], said["shape"], said["classes"]) == ("mnist", [1, 28, 28], 10)


def test_a_network_with_a_small_stem_on_files_like_tiny_imagenet_s(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_tiny_imagenet(tmp_path / "data")
    said = goes_all_the_way(
        tmp_path,
        "shufflenet_v2_x1_0",
        "tiny-imagenet",
        tmp_path / "data",
        samples=20,
        stem="small",
        measured=6,
    )
    assert (said["shape"], said["classes"]) == ([3, 8, 8], 3)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(DATA is None, reason="HORMESIS_DATA names no folder of data sets")
@pytest.mark.parametrize("data", SETS)
@pytest.mark.parametrize("model", PAPER)
def test_every_pair_trains_and_is_analysed(tmp_path, model, data):
    said = goes_all_the_way(tmp_path, model, data, Path(str(DATA)), samples=60)
    assert (said["classes"], said["shape"]) == SETS[data]
    assert said["samples"] == 20
