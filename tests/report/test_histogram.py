"""The distribution of weights that lies in a study's own thresholds."""

import numpy as np
import pytest
import torch
from torch import nn

import handset
from handset import ROBUST
from hormesis.measure.pipeline import analyze
from hormesis.report.views.histogram import Histogram, weight_histogram
from hormesis.results.study import Study
from hormesis.settings.attacks import FGSM
from hormesis.settings.execution import Execution
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets

WEIGHTS = torch.tensor([[-1.0, -0.5, -0.5], [0.0, 0.25, 1.0]])


def measured(sweep: Sweep, targets: Targets = Targets(), weights: torch.Tensor = WEIGHTS) -> Study:
    classes, features = weights.shape
    layer = nn.Linear(features, classes, bias=False)
    layer.weight.data.copy_(weights)
    inputs = torch.rand(4, features, generator=torch.Generator().manual_seed(0))
    return analyze(
        nn.Sequential(nn.Flatten(), layer),
        (inputs, torch.arange(4) % classes),
        attack=FGSM(0.1),
        targets=targets,
        sweep=sweep,
        execution=Execution(engine="plain", num_workers=1, progress=False),
    )


def test_counts_of_removed_values_are_a_histogram():
    study = handset.study({"w": ROBUST})
    assert weight_histogram(study, "w") == Histogram("w", (-1.0, 0.0, 1.0), (2, 2))


@pytest.mark.parametrize(
    ("filters", "counts"),
    [
        (("high_pass",), (3, 1, 1, 1)),  # values at a threshold belong below it
        (("low_pass",), (1, 2, 2, 1)),  # and above it
        (("pulse_wave", "low_pass", "high_pass"), (3, 1, 1, 1)),
    ],
)
def test_every_value_is_counted_once(filters, counts):
    study = measured(Sweep(filters=filters, thresholds=5))
    found = weight_histogram(study, "1.weight")
    assert found == Histogram("1.weight", (-1.0, -0.5, 0.0, 0.5, 1.0), counts)


def test_magnitudes_are_counted_where_they_were_compared():
    study = measured(Sweep(filters=("high_pass",), thresholds=3, by="magnitude"))
    assert weight_histogram(study, "1.weight") == Histogram("1.weight", (0.0, 0.5, 1.0), (4, 2))


def test_what_lies_beyond_a_span_of_ones_own_is_told():
    sweep = Sweep(filters=("high_pass",), thresholds=3, span=(-0.75, 0.5))
    study = measured(sweep, Targets(scope="global"))
    expected = Histogram("all", (-0.75, -0.125, 0.5), (2, 2), below=1, above=1)
    assert weight_histogram(study, "all") == expected


def test_windows_with_gaps_are_no_histogram():
    assert (
        weight_histogram(measured(Sweep(filters=("pulse_wave",), thresholds=3)), "1.weight") is None
    )


def test_a_histogram_is_that_of_the_weights():
    weights = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    study = measured(Sweep(thresholds=9), weights=torch.from_numpy(weights))
    found = weight_histogram(study, "1.weight")
    assert found is not None
    # NumPy's bins hold their lower edges; none of these values lies on one but the extremes.
    assert list(found.counts) == np.histogram(weights, found.edges)[0].tolist()
