"""Targets that drop out: all about them is what a study of their first samples says."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hormesis as hm
import synthetic
from hormesis.analysis.confidence_sequence import ConfidenceSequence
from hormesis.analysis.stopping import Stopping, looks
from hormesis.errors import StudyError
from hormesis.results.study import Study
from hormesis.settings.scoring import Scoring
from hormesis.storage.outcomes import StoredOutcomes, only_samples

PLANNED = 1500
NETWORK = synthetic.network(np.random.default_rng(5), targets=5, steps=5)
OUTCOMES = NETWORK.outcomes(PLANNED, np.random.default_rng(1))
EXPECTED = {"layer0.weight": 256, "layer2.weight": 512, "layer3.weight": 512}


def smooth(outcomes: StoredOutcomes) -> StoredOutcomes:
    """Outcomes that are no counts: each with a shift of its own sample."""
    some = np.linspace(0.1, 0.3, PLANNED, dtype=np.float32)
    names = ("base_clean", "base_adversarial", "clean", "adversarial")
    return replace(outcomes, **{name: getattr(outcomes, name) + some for name in names})


def truncated(outcomes: StoredOutcomes, samples: int, like: Study) -> Study:
    """The study of the first samples, in which no target drops out."""
    made = synthetic.study(NETWORK, only_samples(outcomes, 0, samples))
    manifest = {**made.manifest, "question": like.manifest["question"]}
    return replace(made, manifest={**manifest, "scoring": like.manifest["scoring"]})


@cache
def stopped() -> tuple[Study, Stopping]:
    """The usual study, its blocks ending where scores are looked at."""
    return synthetic.stopped(NETWORK, OUTCOMES, "certain", edges=tuple(looks(PLANNED)))


def rows(table: pd.DataFrame, target: str) -> pd.DataFrame:
    return table.loc[table["target"] == target].reset_index(drop=True)


@pytest.mark.parametrize("kind", ["counts", "numbers"])
def test_each_target_is_that_of_a_study_of_its_own_samples(kind: str):
    outcomes = OUTCOMES if kind == "counts" else smooth(OUTCOMES)
    study, stopping = synthetic.stopped(NETWORK, outcomes, "certain", edges=tuple(looks(PLANNED)))
    assert len({*stopping.settled.values()}) > 1
    assert study.scores["target"].unique().tolist() == NETWORK.targets
    for target in NETWORK.targets:
        own = truncated(outcomes, stopping.settled.get(target, stopping.samples), study)
        exact = kind == "counts"  # sums of numbers are rounded, block by block
        pd.testing.assert_frame_equal(
            rows(study.responses, target), rows(own.responses, target), check_exact=exact
        )
        pd.testing.assert_frame_equal(
            rows(study.scores, target), rows(own.scores, target), rtol=1e-6, atol=1e-9
        )
        for scoring in (Scoring(base="first", reference="base"), Scoring(level=0.8)):
            pd.testing.assert_frame_equal(
                rows(study.scores_with(scoring), target),
                rows(own.scores_with(scoring), target),
                rtol=1e-6,
            )


@settings(max_examples=5)
@given(st.sets(st.integers(1, PLANNED - 1), max_size=12))
def test_blocks_move_nothing(edges: set[int]):
    study, stopping = synthetic.stopped(NETWORK, OUTCOMES, "certain", edges=tuple(sorted(edges)))
    usual, expected = stopped()
    assert stopping.settled == expected.settled == EXPECTED
    assert study.responses.equals(usual.responses)
    assert study.manifest["settled"] == usual.manifest["settled"]
    pd.testing.assert_frame_equal(study.scores, usual.scores, rtol=1e-6)


def test_what_is_measured_of_a_settled_target_does_not_count():
    edges = tuple(looks(PLANNED))
    wrong = replace(OUTCOMES, clean=OUTCOMES.clean.copy(), changed=OUTCOMES.changed.copy())
    row = NETWORK.targets.index("layer3.weight") * 15
    wrong.clean[row : row + 15, 512:] = 1 - wrong.clean[row : row + 15, 512:]
    study, _ = synthetic.stopped(NETWORK, wrong, "certain", edges=edges)
    usual, _ = stopped()
    assert study.packed == usual.packed
    assert study.scores.equals(usual.scores)


def test_less_and_less_is_measured_and_the_note_says_so():
    study, stopping = stopped()
    work = 0
    for block in study.blocks():
        count = len(block.clean) if block.measured is None else int(block.measured.sum())
        work += count * len(block.base_clean)
    assert work == 15 * sum(EXPECTED.get(target, PLANNED) for target in NETWORK.targets)
    share = 1 - work / (75 * PLANNED)
    assert stopping.notes() == [
        "All 1500 samples were needed: 3 of 5 targets were settled before the last one and dropped "
        f"out, which saved {share:.0%} of the work."
    ]
    assert stopping.wanted.sum() == 2 * 15


@pytest.mark.parametrize("multiplicity", ["holm", "bh"])
def test_who_drops_out_stays_certain_whatever_becomes_of_others(multiplicity: str):
    scoring = Scoring(multiplicity=multiplicity)
    study, stopping = synthetic.stopped(NETWORK, OUTCOMES, "certain", scoring=scoring)
    assert stopping.settled
    combined = study.scores.loc[study.scores["filter"] == "combined"]
    assert combined.loc[combined["target"].isin(list(stopping.settled)), "certain"].all()


def test_a_study_of_others_is_told_what_it_lacks():
    study, _ = stopped()
    assert np.isnan(study.outcomes().clean).any()
    liar = replace(study, manifest={**study.manifest, "settled": []})
    with pytest.raises(StudyError, match="some of a target's were not measured"):
        liar.scores_with(Scoring())
    without = replace(study, packed={})
    point = without.scores
    assert point["value"].equals(study.scores["value"])
    assert point["low"].isna().to_numpy().all()


def test_rows_of_a_table_have_the_law_of_their_own_samples():
    counts = np.array([256, 1000, 256])
    interval_method = ConfidenceSequence(counts, PLANNED, 0.95)
    single = [ConfidenceSequence(int(count), PLANNED, 0.95) for count in counts]
    distance = np.array([2.0, 3.0, 4.0])
    assert interval_method.critical().tolist() == [float(one.critical()) for one in single]
    expected = [one.p_value(distance)[place] for place, one in enumerate(single)]
    assert interval_method.p_value(distance).tolist() == expected


# Comparisons


@cache
def shifted(by: float, name: str) -> tuple[Study, dict[str, int], StoredOutcomes]:
    """A study of a network that falls more or less, where its targets settled, and its outcomes."""
    network = replace(NETWORK, shift=NETWORK.shift * by)
    drawn = network.outcomes(PLANNED, np.random.default_rng(1))
    study, stopping = synthetic.stopped(network, drawn, "certain")
    manifest: dict[str, Any] = {**study.manifest, "origin": {"epoch": len(name)}}
    return replace(study, manifest=manifest), stopping.settled, drawn


def test_a_comparison_has_each_targets_own_scores_and_intervals():
    (one, *_), (other, *_) = shifted(1.0, "a"), shifted(0.8, "bb")
    found = hm.compare([one, other])
    assert found.changes["paired"].to_numpy().all()
    for label, study in (("1", one), ("2", other)):
        own = study.scores.loc[study.scores["filter"] == "combined"]
        ours = found.scores.loc[found.scores["study"] == label]
        for column in ("value", "low", "high"):
            assert ours[column].to_numpy() == pytest.approx(own[column].to_numpy(), rel=1e-5)
        assert ours["class"].tolist() == own["class"].tolist()


def test_a_difference_of_unequal_samples_by_hand():
    (one, here, *drawn), (other, there, last) = shifted(1.0, "a"), shifted(0.8, "bb")
    drawn.append(last)
    changes = hm.compare([one, other]).changes.set_index(["score", "match"])
    unequal = [t for t in NETWORK.targets if here.get(t, PLANNED) != there.get(t, PLANNED)]
    assert unequal
    for target in unequal:
        counts = [settled.get(target, PLANNED) for settled in (here, there)]
        place = NETWORK.targets.index(target)
        values, bases = [], []
        for study, outcomes, count in zip((one, other), drawn, counts, strict=True):
            own = truncated(outcomes, count, study)
            values.append(own.influence("combined")[0][0, place].astype(np.float64))
            bases.append(own.base.clean)
        # Var(Ā − B̄) over n and m samples, the first min(n, m) of which are the same.
        n, m = counts
        both = min(n, m)
        common = (values[0][:both] * values[1][:both]).sum() / max(n, m) / both
        variance = values[0].var(ddof=1) / n + values[1].var(ddof=1) / m - 2 * common
        variance += sum(1 / (3 * b * k) ** 2 for b, k in zip(bases, counts, strict=True))
        row = changes.loc[("clean", target)]
        half = ConfidenceSequence(both, PLANNED, 0.95).critical() * np.sqrt(variance)
        assert row["high"] - row["difference"] == pytest.approx(float(half), rel=0.02)
