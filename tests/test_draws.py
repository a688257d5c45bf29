# pyright: reportGeneralTypeIssues=false
"""Several draws of the random control: planned, measured, stored, extended and scored."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import hormesis as hm
from hormesis.cli.parser import parse_arguments
from hormesis.engine.controls import ONE_DRAW, control_columns
from hormesis.engine.plan import make_plan
from hormesis.errors import SettingError
from hormesis.settings.choices import UNFILTERED
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from hormesis.stress.targets import find_targets

QUIET = hm.Execution(progress=False, num_workers=1)
RANDOM = hm.Scoring(reference="random")


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))


def data(samples: int = 90) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.rand(samples, 6, generator=generator)
    with torch.no_grad():
        return inputs, network()(inputs).argmax(1)


def analyze(out: Path | None = None, **changes: object) -> hm.Study:
    sweep = Sweep(thresholds=4, control=3)
    asked = {
        "attack": hm.FGSM(0.05),
        "sweep": sweep,
        "confirmation": hm.Confirmation(when="never"),
        "execution": QUIET,
        **changes,
    }
    return hm.analyze(network(), data(), out=out, **asked)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("asked", "draws"), [(True, 5), (False, False), (0, False), (1, 1), (7, 7)]
)
def test_so_many_draws_are_taken_as_asked(asked, draws):
    assert Sweep(control=asked).control == draws
    assert type(Sweep(control=asked).control) is type(draws)


@pytest.mark.parametrize("asked", [-1, 1001])
def test_other_numbers_of_draws_are_refused(asked):
    with pytest.raises(SettingError, match=f"from 0 to 1000 draws, got {asked}"):
        Sweep(control=asked)


@pytest.mark.parametrize(
    ("words", "draws"), [([], False), (["--control"], 5), (["--control", "9"], 9)]
)
def test_the_command_line_takes_draws(words, draws):
    sweep = parse_arguments("analyze", [*words, "--thresholds", "3"])[Sweep]
    assert (sweep.control, sweep.thresholds) == (draws, 3)


def test_draws_differ_and_begin_with_the_same_ones():
    found = find_targets(network(), torch.zeros(1, 6), Targets())
    sweeps = {draws: Sweep(thresholds=4, control=draws) for draws in (1, 4)}
    plans = {draws: make_plan(network(), found, sweep) for draws, sweep in sweeps.items()}
    for one, several in zip(plans[1].cells, plans[4].cells, strict=True):
        if not one.zeroed:
            assert several.controls == (UNFILTERED,) * 4
            continue
        seeds = [plans[4].removals[row].draw for row in several.controls]
        assert seeds[0] == plans[1].removals[one.controls[0]].draw
        assert len(set(seeds)) == (4 if several.density else 1)
    seeds = [removal.draw for removal in plans[4].removals if removal.draw is not None]
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize("engine", ["auto", "plain"])
def test_the_reference_is_the_mean_over_draws(tmp_path, engine):
    study = analyze(tmp_path / "s", execution=replace(QUIET, engine=engine), scoring=RANDOM)
    names = control_columns(study.responses)
    assert names == ["control", "control_2", "control_3"]
    outcomes = study.outcomes()
    rows = np.vstack([outcomes.clean, outcomes.base_clean])[study.responses[names].to_numpy()]
    assert study.responses["random_clean"].tolist() == pytest.approx(rows.mean(axis=(1, 2)))
    opened = hm.load_study(tmp_path / "s")
    assert isinstance(opened, hm.Study)
    assert opened.responses.equals(study.responses)
    assert opened.scores.equals(study.scores)
    assert ONE_DRAW not in opened.notes
    if engine == "plain":
        assert analyze(scoring=RANDOM).responses.equals(study.responses)


def test_the_variance_between_draws_widens_the_interval():
    study = analyze(scoring=RANDOM)
    both = study.scores
    alone = replace(study, responses=study.responses.drop(columns=["control_2", "control_3"]))
    assert ONE_DRAW in alone.notes
    clean = both["score"] == "clean"
    width = (both["high"] - both["low"])[clean]
    means = {f"random_{name}": study.responses[f"random_{name}"] for name in ("clean",)}
    narrow = replace(alone, responses=alone.responses.assign(**means)).scores
    assert (width >= 0).all()
    assert width.sum() > (narrow["high"] - narrow["low"])[clean].sum() * 0.8
    assert ONE_DRAW not in alone.with_scoring(hm.Scoring(reference="base")).notes


def test_more_draws_take_over_the_first_ones(tmp_path):
    one = analyze(tmp_path / "one", sweep=Sweep(thresholds=4, control=1))
    assert len(control_columns(one.responses)) == 1
    execution = replace(QUIET, extend=tmp_path / "one")
    extended = analyze(tmp_path / "three", execution=execution)
    assert extended.responses.equals(analyze().responses)
    assert extended.responses["control"].nunique() > 1


def test_a_sweep_that_chooses_when_to_stop_counts_all_draws():
    sweep = Sweep(thresholds=3, control=2, until=0.4)
    study = hm.analyze(
        network(), data(400), attack=hm.FGSM(0.05), sweep=sweep, scoring=RANDOM, execution=QUIET
    )
    assert study.manifest["base"]["samples"] <= 400
    assert study.scores["low"].notna().any()
    finite = study.scores_with(replace(RANDOM, population="finite"))
    assert (finite["high"] - finite["low"]).sum() < (
        study.scores["high"] - study.scores["low"]
    ).sum()


def test_the_bootstrap_knows_of_the_draws():
    study = analyze(scoring=replace(RANDOM, interval="bootstrap"))
    delta = study.scores_with(RANDOM)
    both = [(table["high"] - table["low"]).mean() for table in (study.scores, delta)]
    assert both[0] == pytest.approx(both[1], rel=0.15)
