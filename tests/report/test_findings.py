"""Sentences made from numbers, and silence where nothing is certain."""

import re

import numpy as np
import pytest

import handset
import synthetic
from handset import ANTIFRAGILE, FRAGILE, ROBUST
from hormesis.report.views.findings import ClassCount, class_counts, counts_sentence, findings

THIN = "\u202f"


def falling(middles: list[float]) -> synthetic.Network:
    """A network whose targets lose their accuracy at these thresholds, clean and attacked."""
    steps = np.linspace(0, 1, 9)
    fall = 1 / (1 + np.exp(-30 * (steps - np.array(middles)[:, None, None])))
    shift = np.repeat(-6 * fall, 3, axis=1)
    return synthetic.Network(margin=2.5, drop=1.5, shift=shift, noise=np.full(shift.shape, 1e-3))


def measured(middles: list[float], samples: int = 400):
    of = falling(middles)
    return synthetic.study(of, of.outcomes(samples, np.random.default_rng(0)))


def test_counts_are_of_targets_and_of_values():
    curves = {"a": ANTIFRAGILE, "b": FRAGILE, "c": FRAGILE, "d": ROBUST}
    study = handset.study(curves, sizes={"a": 10, "b": 5, "c": 1}, unreached=("d",))
    assert class_counts(study, "combined")["clean"] == [
        ClassCount("fragile", 2, 6),
        ClassCount("antifragile", 1, 10),
        ClassCount("untested", 1, 4),
    ]


def test_the_headline_counts_classes():
    study = handset.study({"a": ANTIFRAGILE, "b": FRAGILE}, sizes={"a": 30, "b": 10})
    assert counts_sentence(study) == (
        f"Of 2 filtered targets: under attack, 1 antifragile (unconfirmed) (75{THIN}% of the "
        f"values) and 1 fragile; on clean inputs, 1 antifragile (75{THIN}% of the values) and 1 "
        "fragile."
    )
    alone = counts_sentence(handset.study({"a": ROBUST}))
    assert alone.startswith(f"Of 1 filtered target: under attack, 1 robust (100{THIN}% of")


def test_nothing_is_found_where_nothing_is_certain():
    study = handset.study({"a": ANTIFRAGILE, "b": FRAGILE})  # without outcomes, no intervals
    assert findings(study) == []


def test_extremes_and_trend_bring_their_numbers():
    study = measured([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    first, *others = findings(study)
    own = study.scores.loc[
        (study.scores["filter"] == "combined") & (study.scores["score"] == "adversarial")
    ]
    low, high = own.iloc[0], own.iloc[-1]
    for row in (low, high):
        assert f"{row['value']:+.2f}".replace("-", "−") in first
        assert f"{row['low']:+.2f} to {row['high']:+.2f}".replace("-", "−") in first
    assert first.startswith("layer0 has the lowest adversarial score, −")
    assert "layer7 the highest, +" in first
    (trend,) = [sentence for sentence in others if "depth" in sentence]
    assert re.fullmatch(
        r"\w+ scores (rise|fall) with depth: Spearman's ρ = −?[01]\.\d\d over 8 targets "
        r"\(p [<=] 0\.\d{3}\)\.",
        trend,
    )
    assert len(others) <= 2


def test_overlapping_extremes_are_not_told():
    assert not [said for said in findings(measured([0.5, 0.5, 0.5], 60)) if "lowest" in said]


def test_too_few_targets_have_no_trend():
    assert not [said for said in findings(measured([0.1, 0.5, 0.9])) if "depth" in said]


def test_disagreement_counts_only_what_is_certain():
    study = measured([0.2, 0.8])
    scores = study.scores.copy()
    scores.loc[:, "certain"] = True
    clean, attacked = scores["score"] == "clean", scores["score"] == "adversarial"
    scores.loc[clean, "class"] = "fragile"
    scores.loc[attacked, "class"] = "antifragile"
    object.__setattr__(study, "scores", scores)
    sentence = "2 targets are fragile on clean inputs and antifragile under attack: layer0, layer1."
    assert sentence in findings(study)
    scores.loc[scores["target"] == "layer0.weight", "certain"] = False
    object.__setattr__(study, "scores", scores)
    sentence = "1 target is fragile on clean inputs and antifragile under attack: layer1."
    assert sentence in findings(study)


@pytest.mark.parametrize(
    "base", [{"clean": 0.8, "adversarial": 0.0}, {"clean": 0.0, "adversarial": 0.0}]
)
def test_a_floored_network_is_told_without_numbers_that_are_not_there(base):
    study = handset.study({"a": ROBUST, "b": FRAGILE}, base=base)
    assert "nan" not in counts_sentence(study) + " ".join(findings(study))
    assert "undefined" in counts_sentence(study)


def test_sentences_have_no_numbers_of_nothing():
    study = measured([0.1, 0.5, 0.9, 0.3])
    assert all("nan" not in said and said.endswith(".") for said in findings(study))
