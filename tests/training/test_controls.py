"""The experiment: the same budget, seeds and order for all arms, paired differences, resumed."""

from typing import Any

import pytest
import torch

import hormesis as hm
from hormesis.analysis.effects import effect_table
from hormesis.data.sampling import draw_balanced, draw_stratified
from hormesis.errors import DataError, SettingError, TrainingError
from hormesis.models.checkpoints import load_checkpoint
from hormesis.training import controls as experiment
from retrained import QUIET, data, network, sets, study, upper

TRIAL = hm.EvaluationConfig(epsilons=(0.02, 0.05), steps=2, restarts=1)
RECIPE = hm.Recipe(epochs=1, batch_size=10, lr=0.01)


def compared(out, **options):
    settings: dict[str, Any] = {
        "controls": hm.Controls(seeds=(1, 2), evaluation_config=TRIAL),
        "selection": upper(study()),
        "recipe": RECIPE,
        "source": hm.SourceNetwork(network=network()),
        "trainer_config": QUIET,
    }
    return hm.retrain_with_controls(study(), sets(), out=out, **settings | options)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return compared(tmp_path_factory.mktemp("controls") / "out")


def last(made, arm, seed):
    run = hm.load_run(made.folder / arm / f"seed-{seed}")
    return load_checkpoint(run.checkpoints[max(run.checkpoints)])


def test_every_arm_has_the_same_seeds_samples_and_attacks(made):
    found = made.outcomes.groupby(["attack", "epsilon"])
    arms = ["selective", "everything", "fragile", "random-size", "random-layers", "none"]
    arms = [arm for arm in arms if arm in made.manifest["arms"]]
    assert len(arms) >= 5
    for _, part in found:
        assert len(part) == len(arms) * 2 * 12
        assert part.groupby("sample").size().nunique() == 1
    assert set(made.accuracy["arm"]) == set(arms)
    assert set(made.effects["arm"]) == set(arms) - {"everything"}
    assert made.effects.equals(effect_table(made.outcomes))


def test_everything_is_regular_training_from_the_network_of_the_study(made, tmp_path):
    for seed in (1, 2):
        recipe = hm.Recipe(epochs=1, batch_size=10, lr=0.01, seed=seed)
        run = hm.train(
            network(), sets(), out=tmp_path / str(seed), recipe=recipe, trainer_config=QUIET
        )
        regular = load_checkpoint(run.checkpoints[1])
        found = last(made, "everything", seed)
        assert all(torch.equal(regular[name], found[name]) for name in regular)


def test_no_retraining_is_the_network_of_the_study(made):
    rows = made.outcomes.query("arm == 'none'")
    one, two = (rows[rows["seed"] == seed]["right"].tolist() for seed in (1, 2))
    assert one == two
    with torch.no_grad():
        inputs, labels = data(12, 1)
        right = network()(inputs).argmax(dim=1) == labels
    clean = rows[(rows["seed"] == 1) & (rows["attack"] == "clean")]
    assert clean["right"].tolist() == right.tolist()


def test_the_manifest_names_what_each_arm_trains(made):
    arms = made.manifest["arms"]
    assert arms["everything"][0]["frozen_parameters"] == 0
    assert arms["none"][0]["trained_parameters"] == 0
    assert arms["selective"][0]["targets"] == arms["selective"][1]["targets"]
    assert len(arms["random-layers"][0]["targets"]) == len(arms["selective"][0]["targets"])
    assert any("made with all validation samples" in note for note in made.manifest["notes"])
    assert repr(made).startswith("Retraining(Sequential, selective, everything")


def test_the_same_call_measures_nothing_again_and_more_seeds_are_added(made, monkeypatch):
    tables = {path: path.read_bytes() for path in made.folder.glob("*.parquet")}

    def never(*arguments):
        raise AssertionError("measured again")

    with monkeypatch.context() as patched:
        patched.setattr(experiment, "evaluate_robustness", never)
        compared(made.folder)
    assert {path: path.read_bytes() for path in tables} == tables
    arms = ("selective", "everything")
    more = compared(made.folder, controls=hm.Controls(arms, (1, 2, 5), TRIAL))
    assert more.outcomes is not None
    assert sorted(more.outcomes["seed"].unique()) == [1, 2, 5]
    compared(made.folder)


def test_another_question_in_the_same_folder_is_refused(made, tmp_path):
    with pytest.raises(TrainingError, match=r"holds another retraining \(recipe.rate is 0.1 here"):
        compared(made.folder, recipe=hm.Recipe(epochs=1, batch_size=10, lr=0.1))
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(TrainingError, match="holds something else"):
        compared(tmp_path)
    with pytest.raises(TrainingError, match="got the file"):
        compared(tmp_path / "thesis.txt")


@pytest.mark.parametrize("draw", [draw_balanced, draw_stratified])
def test_networks_are_tried_on_samples_that_the_study_has_not_seen(tmp_path, draw):
    """The study has the first draw of the validation samples; the others are left."""
    from hormesis.data.image_array import image_array_from
    from hormesis.data.samples import samples_from

    validation = image_array_from(samples_from(data(30, 1)))
    chosen = draw(validation.labels, 12, 0)
    seen = validation.subset(chosen)
    of = hm.analyze(
        network(),
        seen.samples(),
        attack=hm.FGSM(0.05),
        sweep=hm.Sweep(thresholds=5),
        execution=hm.Execution(engine="plain", progress=False),
    )
    made = hm.retrain_with_controls(
        of,
        (data(), data(30, 1)),
        out=tmp_path / "out",
        controls=hm.Controls(("selective",), (1,), TRIAL),
        selection=upper(of),
        recipe=RECIPE,
        source=hm.SourceNetwork(network=network()),
        trainer_config=QUIET,
    )
    left = torch.ones(30, dtype=torch.bool)
    left[chosen] = False
    rest = validation.subset(left.nonzero().flatten()).samples()
    assert made.manifest["controls"]["samples_fingerprint"] == rest.fingerprint()
    assert made.manifest["notes"] == []


def test_a_draw_that_nobody_knows_is_noted(tmp_path):
    made = hm.retrain_with_controls(
        study(),
        (data(), data(30, 5)),
        out=tmp_path / "out",
        controls=hm.Controls(("none",), (1,), TRIAL),
        selection=upper(study()),
        recipe=RECIPE,
        source=hm.SourceNetwork(network=network()),
        trainer_config=QUIET,
    )
    (note,) = made.manifest["notes"]
    assert note.startswith("Nothing tells which samples the study was made with")
    assert made.manifest["controls"]["samples"] == 30


def test_test_data_of_ones_own_are_taken_and_drawn_from(tmp_path):
    trial = hm.EvaluationConfig(epsilons=(0.02,), steps=1, restarts=1, samples=9)
    controls = hm.Controls(("none",), (1,), trial, test=data(20, 7))
    made = compared(tmp_path / "out", controls=controls)
    assert made.manifest["controls"]["samples"] == 9
    wrong = hm.Controls(("none",), (1,), trial, test=(torch.rand(9, 1, 4, 4), torch.arange(9) % 3))
    with pytest.raises(DataError, match=r"Expected test inputs of shape \[1, 8, 8\]"):
        compared(tmp_path / "other", controls=wrong)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"arms": ("selectiv",)}, "Unknown arm 'selectiv'. Did you mean selective"),
        ({"seeds": ()}, "Expected `seeds` that differ"),
        ({"seeds": (1, 1)}, "Expected `seeds` that differ"),
        ({"seeds": (-1,)}, "Expected `seeds` to be a whole number of at least 0"),
    ],
)
def test_what_is_no_experiment_is_refused(settings: dict[str, Any], message):
    with pytest.raises(SettingError, match=message):
        hm.Controls(**settings)
