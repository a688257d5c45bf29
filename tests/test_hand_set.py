"""Networks so small that every response and score is worked out on paper, in the comments.

Three thresholds nearly everywhere, so that Simpson's rule reads ``(y0 + 4 y1 + y2) / 6``.
"""

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import hormesis as hm

ENGINES = ("plain", "auto")
FILTERS = ("high_pass", "low_pass", "pulse_wave")
TOLERANCE = 1e-12  # of fractions in double precision

Expected = Mapping[str, tuple[float, ...] | tuple[Fraction, ...]]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return request.param


def exact(text: str) -> tuple[Fraction, ...]:
    """``"1/3 -2"`` as exact numbers."""
    return tuple(Fraction(word) for word in text.split())


def measure(network: nn.Module, data: Any, engine: str, **options: Any) -> hm.Study:
    return hm.analyze(
        network,
        data,
        attack=hm.FGSM(epsilon=options.get("epsilon", 0.125)),
        targets=options.get("targets", hm.Targets()),
        sweep=options.get("sweep", hm.Sweep(thresholds=3)),
        metric=options.get("metric", "accuracy"),
        confirmation=hm.Confirmation(when="never"),
        execution=hm.Execution(engine=engine, num_workers=1, progress=False),
    )


def check_responses(
    study: hm.Study, target: str, name: str, samples: int, **columns: tuple[float, ...]
) -> None:
    """Compare columns; those of performances are given as numbers of right samples."""
    table = study.responses
    sweep = table[(table["target"] == target) & (table["filter"] == name)]
    assert sweep["step"].tolist() == [0, 1, 2]
    for column, wanted in columns.items():
        counted = column in ("clean", "adversarial")
        found = [value / samples if counted else value for value in wanted]
        assert sweep[column].tolist() == found, (target, name, column)


def check_scores(
    study: hm.Study, target: str, expected: Expected, score: str | None = None, **scoring: Any
) -> None:
    """Compare the scores of each filter: clean, adversarial, difference, or only one of them."""
    table: Any = study.scores_with(hm.Scoring(**{"reference": "density"} | scoring)).set_index(  # pyright: ignore[reportArgumentType]
        ["target", "filter", "score"]
    )
    names = ("clean", "adversarial", "difference") if score is None else (score,)
    for filter_name, values in expected.items():
        for name, wanted in zip(names, values, strict=True):
            found = table["value"][target, filter_name, name]
            assert math.isclose(found, wanted, rel_tol=0, abs_tol=TOLERANCE), (filter_name, name)


# --- six weights, one sample each ---------------------------------------------------------------
#
# Logits (-s, s, 0.15) with s = w · x: class 0 below -0.15, class 1 above 0.15, else class 2.
# Each sample lights one pixel, so that clean s is that pixel's weight, or 0 once it is gone:
#
#   sample      A     B     C     D     E     F
#   weight    -1.5   -1   -0.5   0.5    1    1.5
#   label       0     0     0     1     1     2      F is wrong until its weight is gone
#
# clean: A to E are right: 5 of 6.
#
# FGSM, ε = 1/8, clipped to [0, 1]: for A, B, C (s shall rise) the own pixel falls to 7/8 and the
# pixels of positive weights rise to 1/8; for D, E (s shall fall) the own pixel falls to 7/8 and
# those of negative weights rise to 1/8; for F (loss falls towards s = 0, so s shall rise) those
# of 0.5 and 1 rise to 1/8, its own is at 1 already.
#
#   A, B, C:  s = 7/8 w + 3/8     = -0.9375, -0.5, -0.0625    A, B right
#   D, E:     s = 7/8 w - 3/8     = 0.0625, 0.5               E right
#   F:        s = 1.5 + 1.5/8     = 1.6875                    wrong
#
# adversarial: 3 of 6.

WEIGHTS = (-1.5, -1.0, -0.5, 0.5, 1.0, 1.5)
LABELS = (0, 0, 0, 1, 1, 2)
TRUE_LABELS = (0, 0, 0, 1, 1, 1)


class Six(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 1, bias=False)
        with torch.no_grad():
            self.linear.weight.copy_(torch.tensor([WEIGHTS]))

    def forward(self, inputs: Tensor) -> Tensor:
        return three_logits(self.linear(inputs))


def three_logits(s: Tensor) -> Tensor:
    return torch.cat([-s, s, 0.15 * torch.ones_like(s)], dim=1)


def six_samples(labels: tuple[int, ...] = LABELS) -> hm.Samples:
    return hm.samples_from((torch.eye(6), torch.tensor(labels)), classes=3)


# Thresholds -1.5, 0, 1.5; δ = 3 / 6 = 0.5, so that weights lie on the edges of the pulse.
#
# high-pass   α = -1.5: A's weight goes (kept are w > α). Clean: B to E = 4.
#                       Adversarial: A has 3/8 left, wrong; B -0.5 right; C -0.0625 wrong;
#                       D 7/16 - 1.5/8 = 0.25 right, E right; F wrong: 3.
#             α = 0:    A, B, C go. Clean: D, E = 2. Adversarial: A, B, C at 3/8, wrong; D, E
#                       at 7/8 w, right; F wrong: 2.
#             α = 1.5:  all go, s = 0, class 2: F alone is right, twice.
# low-pass    α = 1.5:  F's goes. Clean: all 6. Adversarial: A, B, C at 7/8 w + 1.5/8 = -1.125,
#                       -0.6875, -0.25, right; D 0.0625 wrong; E 0.5 right; F 1.5/8 = 0.1875,
#                       class 1, wrong: 4.
#             α = 0:    D, E, F go. Clean: A, B, C, F = 4. Adversarial: A, B, C at 7/8 w, right;
#                       D, E at -3/8, wrong; F at 0, right: 4.
#             α = -1.5: all go: 1 and 1.
# pulse wave  [-2, -1):    A's goes, B's is on the open edge and stays: as high-pass, 4 and 3.
#             [-0.5, 0.5): C's goes, D's stays. Clean: A, B, D, E = 4. Adversarial: A, B right;
#                          C 3/8 wrong; D 7/16 - 2.5/8 = 0.125 wrong; E right; F wrong: 3.
#             [1, 2):      E's, F's go. Clean: A to D and F = 5. Adversarial: A, B, C right; D
#                          0.0625 wrong; E -3/8 wrong; F 0.5/8 right: 4.
SIX = {
    "high_pass": {
        "alpha": (-1.5, 0.0, 1.5),
        "zeroed": (1, 3, 6),
        "density": (5 / 6, 3 / 6, 0.0),
        "progress": (0.0, 0.5, 1.0),
        "clean": (4, 2, 1),
        "adversarial": (3, 2, 1),
    },
    "low_pass": {
        "alpha": (1.5, 0.0, -1.5),
        "zeroed": (1, 3, 6),
        "density": (5 / 6, 3 / 6, 0.0),
        "progress": (0.0, 0.5, 1.0),
        "clean": (6, 4, 1),
        "adversarial": (4, 4, 1),
    },
    "pulse_wave": {
        "alpha": (-1.5, 0.0, 1.5),
        "zeroed": (1, 1, 2),
        "density": (5 / 6, 5 / 6, 4 / 6),
        "progress": (0.0, 0.5, 1.0),
        "clean": (4, 4, 5),
        "adversarial": (3, 3, 4),
    },
}

# ∫ρ: (5/6 + 2 + 0)/6 = 17/36 for high- and low-pass, (5/6 + 20/6 + 4/6)/6 = 29/36 for the pulse.
#
# Base 5/6 and 3/6 (network):
#   high-pass   clean 4/5 2/5 1/5, ∫ = 13/30     adversarial 1 2/3 1/3,     ∫ = 2/3
#   low-pass    clean 6/5 4/5 1/5, ∫ = 23/30     adversarial 4/3 4/3 1/3,   ∫ = 7/6
#   pulse wave  clean 4/5 4/5 1,   ∫ = 5/6       adversarial 1 1 4/3,       ∫ = 19/18
# Base of the first threshold:
#   high-pass   clean 1 1/2 1/4,   ∫ = 13/24     adversarial 1 2/3 1/3,     ∫ = 2/3
#   low-pass    clean 1 2/3 1/6,   ∫ = 23/36     adversarial 1 1 1/4,       ∫ = 7/8
#   pulse wave  clean 1 1 5/4,     ∫ = 25/24     adversarial 1 1 4/3,       ∫ = 19/18
SIX_SCORES = {
    ("network", "density"): {
        "high_pass": exact("-7/180 7/36 7/30"),
        "low_pass": exact("53/180 25/36 2/5"),
        "pulse_wave": exact("1/36 1/4 2/9"),
        "combined": exact("17/180 41/108 77/270"),
    },
    ("network", "base"): {
        "high_pass": exact("-17/30 -1/3 7/30"),
        "low_pass": exact("-7/30 1/6 2/5"),
        "pulse_wave": exact("-1/6 1/18 2/9"),
        "combined": exact("-29/90 -1/27 77/270"),
    },
    ("first", "density"): {
        "high_pass": exact("5/72 7/36 1/8"),
        "low_pass": exact("1/6 29/72 17/72"),
        "pulse_wave": exact("17/72 1/4 1/72"),
        "combined": exact("17/108 61/216 1/8"),
    },
    ("first", "base"): {
        "high_pass": exact("-11/24 -1/3 1/8"),
        "low_pass": exact("-13/36 -1/8 17/72"),
        "pulse_wave": exact("1/24 1/18 1/72"),
        "combined": exact("-7/27 -29/216 1/8"),
    },
}


def test_responses_of_every_filter(engine: str) -> None:
    study = measure(Six(), six_samples(), engine)
    assert (study.base.clean, study.base.adversarial) == (5 / 6, 3 / 6)
    for name, columns in SIX.items():
        check_responses(study, "linear.weight", name, 6, **columns)


def test_scores_by_both_bases_and_references(engine: str) -> None:
    study = measure(Six(), six_samples(), engine)
    for (base, reference), expected in SIX_SCORES.items():
        check_scores(study, "linear.weight", expected, base=base, reference=reference)


def test_classes() -> None:
    """By the network and density, the clean scores are -0.039, 0.294 and 0.028."""
    study = measure(Six(), six_samples(), "plain")
    for tolerance, wanted in (
        (0.05, ["robust", "antifragile", "robust", "antifragile"]),
        (0.01, ["fragile", "antifragile", "antifragile", "antifragile"]),
        (0.3, ["robust"] * 4),
    ):
        table = study.scores_with(hm.Scoring(reference="density", tolerance=tolerance))
        assert table.loc[table["score"] == "clean", "point"].tolist() == wanted


def test_an_adaptive_adversary_finds_no_way_where_the_slope_is_zero(engine: str) -> None:
    """At the low-pass filter's first threshold F is at s = 0, where its loss is flat.

    An attack on the filtered network therefore leaves F alone, and right: 5 instead of 4. The
    gradient of all others keeps its signs on the weights that are left, so that nothing else
    differs. Low-pass: 5/3 4/3 1/3, ∫ = 11/9, less 17/36 is 3/4.
    """
    sweep = hm.Sweep(thresholds=3, adversary="adaptive")
    study = measure(Six(), six_samples(), engine, sweep=sweep)
    adversarial = {name: columns["adversarial"] for name, columns in SIX.items()}
    adversarial["low_pass"] = (5, 4, 1)
    for name, columns in SIX.items():
        wanted = {**columns, "adversarial": adversarial[name]}
        check_responses(study, "linear.weight", name, 6, **wanted)
    check_scores(study, "linear.weight", {"low_pass": exact("3/4")}, "adversarial")


def test_magnitudes(engine: str) -> None:
    """|w| from 0.5 to 1.5: thresholds 0.5, 1, 1.5, and δ = 1/6; two weights share each value.

    High-pass: C, D go, A, B, E are right (3); then B, E, A is right (1); then all, F is right (1).
    Low-pass: A, F go, B to F are right (5); then B, E, C, D, F are right (3); then all (1).
    Pulse: C, D go (3); B, E go: A, C, D (3); A, F go: B to F (5).
    """
    study = measure(Six(), six_samples(), engine, sweep=hm.Sweep(thresholds=3, by="magnitude"))
    wanted = {
        "high_pass": {"alpha": (0.5, 1.0, 1.5), "zeroed": (2, 4, 6), "clean": (3, 1, 1)},
        "low_pass": {"alpha": (1.5, 1.0, 0.5), "zeroed": (2, 4, 6), "clean": (5, 3, 1)},
        "pulse_wave": {"alpha": (0.5, 1.0, 1.5), "zeroed": (2, 2, 2), "clean": (3, 3, 5)},
    }
    for name, columns in wanted.items():
        check_responses(study, "linear.weight", name, 6, **columns)


def test_a_floored_network_has_no_adversarial_scores(engine: str) -> None:
    """With ε = 1/2 and F labelled 1: s = w/2 - 1.5 ≤ -0.75 for D, E, F, and mirrored: all wrong.

    Clean performance is then the density itself: every sample is right while its weight is there.
    """
    study = measure(Six(), six_samples(TRUE_LABELS), engine, epsilon=0.5)
    assert (study.base.clean, study.base.adversarial) == (1.0, 0.0)
    check_scores(study, "linear.weight", {name: exact("0") for name in FILTERS}, "clean")
    table: Any = study.scores_with(hm.Scoring(reference="density"))
    for score in ("adversarial", "difference"):
        rows = table[table["score"] == score]
        assert np.isnan(rows["value"].to_numpy()).all()
        assert rows["class"].tolist() == ["undefined"] * 4
    assert any("floors the network" in note for note in study.notes)


# --- the random reference -----------------------------------------------------------------------


def test_random_removal_takes_out_as_many_values(engine: str) -> None:
    """With F labelled 1 a sample is right while its weight is there, whichever are gone."""
    sweep = hm.Sweep(thresholds=3, control=True)
    study = measure(Six(), six_samples(TRUE_LABELS), engine, sweep=sweep)
    assert study.responses["random_clean"].tolist() == study.responses["density"].tolist()
    again = measure(Six(), six_samples(TRUE_LABELS), engine, sweep=sweep)
    assert again.responses.equals(study.responses)


def test_random_removal_of_nothing_and_of_everything_is_the_filter(engine: str) -> None:
    """All weights lie below the span 2 to 4: high-pass empties the tensor, the others nothing.

    Clean, against random: 0. Against the density: high-pass 1/5 - 0, low-pass and pulse 1 - 1.
    """
    sweep = hm.Sweep(thresholds=3, control=True, span=(2.0, 4.0))
    study = measure(Six(), six_samples(), engine, sweep=sweep, targets=hm.Targets(scope="global"))
    for metric in ("clean", "adversarial"):
        column = study.responses[metric].tolist()
        assert study.responses[f"random_{metric}"].tolist() == column
    for name, right in zip(FILTERS, ((1, 1, 1), (5, 5, 5), (5, 5, 5)), strict=True):
        check_responses(study, "all", name, 6, clean=right)
    zero: Expected = {name: exact("0") for name in (*FILTERS, "combined")}
    check_scores(study, "all", zero, "clean", reference="random")
    check_scores(study, "all", zero, "adversarial", reference="random")
    density: Expected = {"high_pass": exact("1/5"), "low_pass": exact("0")}
    check_scores(study, "all", density, "clean")


def test_the_random_reference_is_divided_by_the_same_base(engine: str) -> None:
    study = measure(Six(), six_samples(), engine, sweep=hm.Sweep(thresholds=3, control=True))
    for name in FILTERS:
        sweep = study.responses[study.responses["filter"] == name]
        for base in ("network", "first"):
            wanted = []
            for score, unfiltered in (("clean", 5 / 6), ("adversarial", 3 / 6)):
                response, control = sweep[score].tolist(), sweep[f"random_{score}"].tolist()
                divisor = unfiltered if base == "network" else response[0]
                y = [(p - r) / divisor for p, r in zip(response, control, strict=True)]
                wanted.append((y[0] + 4 * y[1] + y[2]) / 6)
            for score, value in zip(("clean", "adversarial"), wanted, strict=True):
                expected: Expected = {name: (value,)}
                check_scores(study, "linear.weight", expected, score, reference="random", base=base)


# --- all targets at once ------------------------------------------------------------------------


class Halves(nn.Module):
    """The same network, its negative and its positive weights in two tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.negative, self.positive = nn.Linear(3, 1, bias=False), nn.Linear(3, 1, bias=False)
        with torch.no_grad():
            self.negative.weight.copy_(torch.tensor([WEIGHTS[:3]]))
            self.positive.weight.copy_(torch.tensor([WEIGHTS[3:]]))

    def forward(self, inputs: Tensor) -> Tensor:
        return three_logits(self.negative(inputs[:, :3]) + self.positive(inputs[:, 3:]))


def test_all_at_once_over_the_own_range_is_one_tensor(engine: str) -> None:
    sweep = hm.Sweep(thresholds=3, span=None)
    study = measure(
        Halves(), six_samples(), engine, sweep=sweep, targets=hm.Targets(scope="global")
    )
    for name, columns in SIX.items():
        check_responses(study, "all", name, 6, **columns)
    for (base, reference), expected in SIX_SCORES.items():
        check_scores(study, "all", expected, base=base, reference=reference)


def test_all_at_once_over_the_authors_range(engine: str) -> None:
    """Thresholds -1, 0, 1, and δ = 1/3: the pulse takes -1, then nothing, then 1.

    High-pass: A, B go (C, D, E right), A to C (D, E), all but F's, which is wrong (0).
    Low-pass: E, F go (A to D and F), D to F (A to C and F), all but A's (A and F).
    Pulse: B goes (A, C, D, E), nothing (A to E), E goes (A to D).

    ∫ρ: (4/6 + 12/6 + 1/6)/6 = 17/36, again, and (5/6 + 4 + 5/6)/6 = 17/18.
    Clean: 3/5 2/5 0, ∫ = 11/30; 1 4/5 2/5, ∫ = 23/30; 4/5 1 4/5, ∫ = 14/15.
    """
    study = measure(Halves(), six_samples(), engine, targets=hm.Targets(scope="global"))
    wanted = {
        "high_pass": {"alpha": (-1.0, 0.0, 1.0), "zeroed": (2, 3, 5), "clean": (3, 2, 0)},
        "low_pass": {"alpha": (1.0, 0.0, -1.0), "zeroed": (2, 3, 5), "clean": (5, 4, 2)},
        "pulse_wave": {"alpha": (-1.0, 0.0, 1.0), "zeroed": (1, 0, 1), "clean": (4, 5, 4)},
    }
    for name, columns in wanted.items():
        check_responses(study, "all", name, 6, **columns)
    scores: Expected = {
        "high_pass": exact("-19/180"),
        "low_pass": exact("53/180"),
        "pulse_wave": exact("-1/90"),
        "combined": exact("8/135"),
    }
    check_scores(study, "all", scores, "clean")


# --- one channel at a time ----------------------------------------------------------------------


def test_every_output_channel_has_its_own_range(engine: str) -> None:
    """Logits (5 3 1) · x and (1 1 3) · x; one pixel each, labels 0, 0, 1: all three right.

    Channel 0, thresholds 1, 3, 5, δ = 2/3; samples that are right:
      high-pass 1, 3, 5 go in turn: (5 3 0) 3, (5 0 0) 2, none 1 (the last)   ∫ = 2/3,   ∫ρ = 1/3
      low-pass  (0 3 1) 2, (0 0 1) 1, none 1                                  ∫ = 7/18,  ∫ρ = 1/3
      pulse     (5 3 0) 3, (5 0 1) 2, (0 3 1) 2                               ∫ = 13/18, ρ = 2/3
    Channel 1, thresholds 1, 2, 3, δ = 1/3:
      high-pass (0 0 3) 3, (0 0 3) 3, none 2                                  ∫ = 17/18, ∫ρ = 5/18
      low-pass  (1 1 0) 2, (1 1 0) 2, none 2                                  ∫ = 2/3,   ∫ρ = 5/9
      pulse     (0 0 3) 3, all 3, (1 1 0) 2                                   ∫ = 17/18, ∫ρ = 5/6
    """
    layer = nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[5.0, 3.0, 1.0], [1.0, 1.0, 3.0]]))
    data = torch.eye(3), torch.tensor([0, 0, 1])
    study = measure(
        nn.Sequential(layer), data, engine, targets=hm.Targets(per="channel"), epsilon=0.01
    )
    zeroed = {
        "0.weight[0]": ((1, 2, 3), (1, 2, 3), (1, 1, 1)),
        "0.weight[1]": ((2, 2, 3), (1, 1, 3), (2, 0, 1)),
    }
    right = {
        "0.weight[0]": ((3, 2, 1), (2, 1, 1), (3, 2, 2)),
        "0.weight[1]": ((3, 3, 2), (2, 2, 2), (3, 3, 2)),
    }
    scores = {"0.weight[0]": "1/3 1/18 1/18 4/27", "0.weight[1]": "2/3 1/9 1/9 8/27"}
    assert study.targets["target"].tolist() == list(zeroed)
    for target in zeroed:
        for name, gone, clean in zip(FILTERS, zeroed[target], right[target], strict=True):
            check_responses(study, target, name, 3, zeroed=gone, clean=clean)
        values = exact(scores[target])
        expected: Expected = {
            name: (value,) for name, value in zip((*FILTERS, "combined"), values, strict=True)
        }
        check_scores(study, target, expected, "clean")


# --- weights that are shared, idle or equal -----------------------------------------------------


class Scale(nn.Module):
    def __init__(self, *values: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(values))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * self.weight


class Tied(nn.Module):
    """Logits (1/2, s) with s = w · x + w · x: two layers of one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = Scale(1.0, 2.0), Scale(0.0, 0.0)
        self.two.weight = self.one.weight

    def forward(self, inputs: Tensor) -> Tensor:
        s = (self.one(inputs) + self.two(inputs)).sum(dim=1, keepdim=True)
        return torch.cat([torch.full_like(s, 0.5), s], dim=1)


def test_a_shared_weight_is_filtered_wherever_it_is_used(engine: str) -> None:
    """One pixel each, both labelled 1; a weight that one layer kept would leave s ≥ 1, right.

    Thresholds 1, 1.5, 2, and δ = 1/6. High- and low-pass leave 1, 1, 0 samples, the pulse 1, 2, 1.
    Against the base: (1/2 + 2 + 0)/6 - 1 = -7/12 and (1/2 + 4 + 1/2)/6 - 1 = -1/6.
    """
    targets = hm.Targets(include=("*",))
    study = measure(Tied(), (torch.eye(2), torch.tensor([1, 1])), engine, targets=targets)
    assert study.targets["target"].tolist() == ["one.weight"]
    for name, right in zip(FILTERS, ((1, 1, 0), (1, 1, 0), (1, 2, 1)), strict=True):
        check_responses(study, "one.weight", name, 2, clean=right)
    expected: Expected = {
        "high_pass": exact("-7/12"),
        "low_pass": exact("-7/12"),
        "pulse_wave": exact("-1/6"),
        "combined": exact("-4/9"),
    }
    check_scores(study, "one.weight", expected, "clean", reference="base")


class Idle(nn.Module):
    """Six, with a layer times zero, a layer never called, and a layer of equal weights."""

    def __init__(self) -> None:
        super().__init__()
        self.six, self.muted = Six(), Scale(*WEIGHTS)
        self.unused, self.equal = Scale(1.0, 2.0), Scale(*[1.0] * 6)

    def forward(self, inputs: Tensor) -> Tensor:
        muted = 0.0 * self.muted(inputs).sum(dim=1, keepdim=True)
        return self.six(self.equal(inputs)) + muted


def test_what_changes_no_logit_is_untested_not_robust(engine: str) -> None:
    targets = hm.Targets(include=("*",))
    study = measure(Idle(), six_samples(), engine, targets=targets)
    found: Any = study.targets.set_index("target")
    assert found["tested"].to_dict() == {
        "equal.weight": False,
        "six.linear.weight": True,
        "muted.weight": False,
        "unused.weight": False,
    }
    assert "all its values are equal" in found["reason"]["equal.weight"]
    assert found["reason"]["muted.weight"] == "no removal changed a logit"
    assert found["reason"]["unused.weight"] == "no removal changed a logit"
    scores: Any = study.scores_with(hm.Scoring(reference="density"))
    assert set(scores["target"]) == {"six.linear.weight", "muted.weight", "unused.weight"}
    for target in ("muted.weight", "unused.weight"):
        rows = scores[scores["target"] == target]
        assert set(rows["class"]) == {"untested"}
        assert np.isnan(rows["value"].to_numpy()).all()
    check_scores(study, "six.linear.weight", SIX_SCORES["network", "density"])


# --- loss ---------------------------------------------------------------------------------------


class Half(nn.Module):
    """Logits (0, s) with s = x · w: the loss of class 1 is log(1 + exp(-s))."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 1, bias=False)
        with torch.no_grad():
            self.linear.weight.copy_(torch.tensor([[1.0, 2.0]]))

    def forward(self, inputs: Tensor) -> Tensor:
        s = self.linear(inputs)
        return torch.cat([torch.zeros_like(s), s], dim=1)


def test_loss(engine: str) -> None:
    """One pixel each, both labelled 1, ε = 1/4: the own pixel falls to 3/4, the other stays at 0.

    With f(s) = log(1 + exp(-s)), a = f(1), b = f(2) and z = f(0) = log 2, the mean loss is
    (a + b)/2; high-pass (z + b)/2 twice, then z; low-pass (a + z)/2 twice, then z; pulse
    (z + b)/2, (a + b)/2, (a + z)/2. Under attack the same with f(3/4) and f(3/2).
    A rising loss is a falling performance, so that the quotient is base by response.
    """
    data = torch.eye(2), torch.tensor([1, 1])
    study = measure(Half(), data, engine, metric="loss", epsilon=0.25)
    density = {
        "high_pass": (0.5, 0.5, 0.0),
        "low_pass": (0.5, 0.5, 0.0),
        "pulse_wave": (0.5, 1.0, 0.5),
    }
    quotients: dict[str, dict[str, list[float]]] = {name: {} for name in FILTERS}
    for column, scale in (("clean", 1.0), ("adversarial", 0.75)):
        a, b, z = (math.log1p(math.exp(-s * scale)) for s in (1.0, 2.0, 0.0))
        base = (a + b) / 2
        assert math.isclose(getattr(study.base, column), base, rel_tol=1e-6)
        losses = {
            "high_pass": ((z + b) / 2, (z + b) / 2, z),
            "low_pass": ((a + z) / 2, (a + z) / 2, z),
            "pulse_wave": ((z + b) / 2, (a + b) / 2, (a + z) / 2),
        }
        for name in FILTERS:
            found = study.responses.loc[study.responses["filter"] == name, column]
            assert np.allclose(found, losses[name], rtol=1e-6, atol=0)
            quotients[name][column] = [base / loss for loss in losses[name]]
    table: Any = study.scores_with(hm.Scoring(reference="density")).set_index(["filter", "score"])[
        "value"
    ]
    for name in FILTERS:
        clean, adversarial = quotients[name]["clean"], quotients[name]["adversarial"]
        curves = {
            "clean": np.subtract(clean, density[name]),
            "adversarial": np.subtract(adversarial, density[name]),
            "difference": np.subtract(adversarial, clean),
        }
        for score, y in curves.items():
            wanted = (y[0] + 4 * y[1] + y[2]) / 6
            assert math.isclose(table[name, score], wanted, rel_tol=0, abs_tol=1e-6), (name, score)
