"""Networks whose answer is known by construction get it, by default settings."""

from typing import Any

import pytest
import torch
from torch import nn

import hormesis as hm
import known_answers as known
from hormesis.analysis.classes import (
    ANTIFRAGILE,
    AT_CHANCE,
    FIXED_ONLY,
    FRAGILE,
    MASKED,
    ROBUST,
    UNCONFIRMED,
    UNTESTED,
)
from hormesis.errors import ModelError

QUIET = hm.Execution(progress=False, num_workers=1)
BY_BASE = hm.Scoring(reference="base")


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def analysed(network: nn.Module, data: Any = None, **asked: Any) -> hm.Study:
    return hm.analyze(network, data or known.data(), scoring=BY_BASE, execution=QUIET, **asked)


def found(study: hm.Study, score: str) -> dict[str, str]:
    scores = study.scores
    own = scores.loc[(scores["filter"] == "combined") & (scores["score"] == score)]
    return dict(zip(own["target"].str.removesuffix(".weight"), own["class"], strict=True))


@pytest.mark.parametrize(
    ("network", "clean", "adversarial"),
    [
        (
            known.Informative,
            {"informative": FRAGILE, "other": ROBUST},
            {"informative": FRAGILE, "other": ROBUST},
        ),
        (known.Duplicate, {"one": ROBUST, "other": ROBUST}, {"one": ROBUST, "other": ROBUST}),
        (
            known.Noise,
            {"noise": ANTIFRAGILE, "signal": FRAGILE},
            {"noise": ANTIFRAGILE, "signal": FRAGILE},
        ),
        (
            known.Carrier,
            {"carrier": ROBUST, "signal": FRAGILE},
            {"carrier": FIXED_ONLY, "signal": FRAGILE},
        ),
        (
            known.MaskingCarrier,
            {"temper": ROBUST, "signal": FRAGILE},
            {"temper": MASKED, "signal": FRAGILE},
        ),
        (
            known.Masking,
            {"temper": ROBUST, "signal": FRAGILE},
            {"temper": ROBUST, "signal": FRAGILE},
        ),
        (
            known.Guessing,
            {"one": AT_CHANCE, "two": AT_CHANCE},
            {"one": AT_CHANCE, "two": AT_CHANCE},
        ),
        (
            known.Majority,
            {"unfair": AT_CHANCE, "signal": AT_CHANCE},
            {"unfair": AT_CHANCE, "signal": AT_CHANCE},
        ),
        (
            known.Idle,
            {"equal": ROBUST, "dead": UNTESTED, "signal": FRAGILE},
            {"equal": ROBUST, "dead": UNTESTED, "signal": FRAGILE},
        ),
        (
            known.Collapse,
            {"guard": FRAGILE, "signal": FRAGILE},
            {"guard": FRAGILE, "signal": FRAGILE},
        ),
        (
            known.Saturated,
            {"signal": ROBUST, "other": ROBUST},
            {"signal": MASKED, "other": MASKED},
        ),
    ],
)
def test_every_network_gets_the_answer_that_it_was_made_for(network, clean, adversarial):
    study = analysed(network())
    assert found(study, "clean") == clean
    assert found(study, "adversarial") == adversarial


def test_a_layer_that_hides_gradients_is_masked_under_an_adaptive_adversary():
    study = analysed(known.Masking(), sweep=hm.Sweep(adversary="adaptive"))
    assert found(study, "adversarial") == {"temper": MASKED, "signal": FRAGILE}
    emptied = study.responses.query("target == 'temper.weight' and density == 0")
    assert (emptied["zero_gradient"] == 1).all()  # pyright: ignore[reportGeneralTypeIssues]
    assert (emptied["unmoved"] == 1).all()  # pyright: ignore[reportGeneralTypeIssues]
    assert study.manifest["base"]["zero_gradient"] == 0


def test_a_network_without_gradients_is_called_masked_and_not_unharmed():
    study = analysed(known.Saturated(), attack=hm.FGSM(0.1))
    assert study.manifest["base"]["zero_gradient"] == study.manifest["base"]["unmoved"] == 1
    assert any(note.startswith("The attack is masked") for note in study.notes)
    assert not any("larger ε" in note for note in study.notes)


def test_labels_of_one_class_are_no_evidence():
    inputs, labels = known.data(60)
    study = analysed(known.Informative(), (inputs, torch.zeros_like(labels)), attack=hm.FGSM(0.05))
    assert set(found(study, "clean").values()) == {AT_CHANCE}
    assert any("at chance" in note for note in study.notes)


def test_uneven_classes_make_guessing_better():
    data = known.data(220, shares=(8, 1, 1, 1))
    study = analysed(known.Majority(), data, attack=hm.FGSM(0.05))
    assert study.base.chance == pytest.approx(8 / 11)
    assert set(found(study, "clean").values()) == {AT_CHANCE}


def test_two_classes_are_half_way_to_a_coin():
    inputs, labels = known.data(240)
    study = analysed(known.Carrier(), (inputs, labels), attack=hm.FGSM("auto"))
    assert study.base.adversarial > study.base.chance  # pyright: ignore[reportOperatorIssue]


@pytest.mark.parametrize("metric", ["accuracy", "top5"])
def test_a_single_output_is_refused(metric):
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 1))
    data = torch.rand(8, 4), torch.zeros(8, dtype=torch.long)
    with pytest.raises(ModelError, match="has a single output, so that every answer is right"):
        hm.analyze(network, data, metric=metric, execution=QUIET)


def test_nothing_is_called_antifragile_under_attack_that_was_not_confirmed():
    study = analysed(known.Noise(), confirmation=hm.Confirmation(when="never"))
    assert found(study, "clean")["noise"] == ANTIFRAGILE
    assert found(study, "adversarial")["noise"] == UNCONFIRMED
    attacked = study.scores["score"] != "clean"
    for name in ("class", "point"):
        assert ANTIFRAGILE not in set(study.scores.loc[attacked, name])
    assert study.confirmation is None
