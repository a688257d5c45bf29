"""A negative performance, such as minus an error, is scored as its absolute value."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import hormesis as hm
from hormesis.analysis.cross_check import find_working_cells
from hormesis.analysis.scores import Base
from hormesis.report.views.curves import relative_responses

RUN = hm.Execution(progress=False, num_workers=1)


def regression(samples: int) -> tuple[nn.Module, tuple[torch.Tensor, torch.Tensor]]:
    """A small network that fits its labels but for noise."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 2))
        inputs = torch.rand(samples, 3)
        with torch.no_grad():
            labels = network(inputs) + 0.1 * torch.randn(samples, 2)
    return network, (inputs, labels)


def study(metric: str, samples: int = 90, **more: Any) -> hm.Study:
    network, data = regression(samples)
    settings = {"attack": hm.FGSM(0.02), "sweep": hm.Sweep(thresholds=5, control=True), **more}
    return hm.analyze(
        network, data, metric=metric, loss="mse", targets=hm.Targets(), execution=RUN, **settings
    )


def check_equal(negative: hm.Study, positive: hm.Study, scoring: hm.Scoring) -> None:
    """Scores, intervals and classes are the same to the last bit."""
    own, other = (one.scores_with(scoring) for one in (negative, positive))
    assert own["value"].notna().to_numpy().all()
    pd.testing.assert_frame_equal(own, other, check_exact=True)


SCORINGS = [
    hm.Scoring(),
    hm.Scoring(base="first", reference="density", multiplicity="holm"),
    hm.Scoring(reference="random"),
    hm.Scoring(interval="bootstrap"),
    hm.Scoring(chance_corrected=True),
]


@pytest.mark.parametrize(
    "negative", ["negative_mse", pytest.param("negative_mae", marks=pytest.mark.slow)]
)
def test_minus_an_error_has_the_scores_of_the_error(tmp_path: Path, negative: str):
    made = study(negative, out=tmp_path / "study")
    error, read = study(negative.removeprefix("negative_")), hm.load_study(tmp_path / "study")
    assert made.base.clean == -error.base.clean < 0
    for scoring in SCORINGS:
        check_equal(made, error, scoring)
        check_equal(read, error, scoring)
    assert not any("sign" in note or "Divided" in note for note in made.notes)


def test_a_worse_error_is_fragile():
    scores = study("negative_mse").scores
    clean = scores.loc[(scores["score"] == "clean") & (scores["filter"] == "combined")]
    assert (clean["value"] < 0).all()  # whatever is removed, the errors grow


def test_a_sweep_that_stops_does_so_at_the_same_sample():
    sweep = hm.Sweep(thresholds=3, until=0.3)
    negative, positive = (study(name, 1200, sweep=sweep) for name in ("negative_mse", "mse"))
    samples = negative.metadata.base.samples
    assert samples == positive.metadata.base.samples < 1200
    assert negative.metadata.settled == [
        type(one)(one.samples, -one.clean, one.targets, -one.adversarial)
        for one in positive.metadata.settled
    ]
    check_equal(negative, positive, hm.Scoring())


def test_without_an_attack_it_is_the_same():
    negative, positive = (study(name, attack=None) for name in ("negative_mse", "mse"))
    check_equal(negative, positive, hm.Scoring())


def test_curves_are_those_of_the_error():
    negative, positive = (study(name) for name in ("negative_mse", "mse"))
    for own, other in zip(
        relative_responses(negative, "0.weight"),
        relative_responses(positive, "0.weight"),
        strict=True,
    ):
        assert own.clean == other.clean
        assert own.adversarial == other.adversarial
        assert np.all(np.array(own.clean.low) <= own.clean.values)


def test_a_performance_that_changes_its_sign_is_noted():
    network, (inputs, labels) = regression(40)
    offset = float(((network(inputs) - labels) ** 2).mean().detach())

    def shifted(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return 1.05 * offset - ((outputs - targets) ** 2).mean(dim=1)  # negative under attack

    made = hm.analyze(
        network, (inputs, labels), metric=shifted, loss="mse", attack=hm.FGSM(0.1), execution=RUN
    )
    assert made.base.clean > 0 > made.base.adversarial
    assert any("Divided by it, a worse performance looks better" in note for note in made.notes)


def test_a_filtered_network_of_another_sign_is_noted():
    network, (inputs, labels) = regression(40)

    def below(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return ((outputs - targets) ** 2).mean(dim=1) - 0.02  # positive once much is removed

    made = hm.analyze(network, (inputs, labels), metric=below, attack=None, execution=RUN)
    assert made.base.clean < 0 < made.responses["clean"].max()
    assert any("has another sign than that of the unfiltered one" in note for note in made.notes)


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        (Base(0.9, 0.5), True),
        (Base(-0.9, -1.5), False),
        (Base(-0.9, float("nan")), False),
        (Base(0.0, -1.0), False),
        (Base(0.1, -1.0), True),
        (Base(0.9, 1.5, higher_is_better=False), False),
        (Base(-0.9, -0.5, higher_is_better=False), True),
    ],
)
def test_which_way_a_performance_is_divided(base: Base, expected: bool):
    assert base.larger_is_better is expected


def test_filtered_networks_work_up_to_twice_the_error():
    responses = pd.DataFrame({"clean": [-0.1, -0.2, -0.21]})
    assert find_working_cells(responses, Base(-0.1, -0.4)).tolist() == [True, True, False]
