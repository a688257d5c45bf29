"""Which targets are trained, what follows them, and the arms that they are compared with."""

from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hormesis as hm
from hormesis.errors import SettingError, StudyError
from hormesis.training.arms import arm_targets, select_targets, target_classes
from hormesis.training.retraining_plan import plan_retraining
from hormesis.training.selection import ARMS
from hormesis.training.trainable_masks import make_full_masks, make_masks
from retrained import data, network, study, table, upper

FOUR = table(
    a=(10, "fragile"),
    b=(20, "robust"),
    c=(30, "antifragile"),
    d=(40, "undecided"),
    e=(5, "untested"),
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "bc"),
        ({"keep": ("antifragile",)}, "c"),
        ({"keep": ("fragile",)}, "a"),
        ({"undecided": "train"}, "bcde"),
        ({"undecided": "estimate"}, "bc"),
    ],
)
def test_the_classes_that_are_kept_are_trained(changes: dict[str, Any], expected):
    assert select_targets(FOUR, hm.Selection(**changes)) == frozenset(expected)


def test_an_empty_selection_and_a_full_one_are_refused():
    fragile = table(a=(1, "fragile"), b=(1, "undecided"))
    with pytest.raises(SettingError, match=r"Nothing would be trained: of 2 .*1 fragile, 1 undec"):
        select_targets(fragile, hm.Selection())
    robust = table(a=(1, "robust"), b=(1, "antifragile"))
    with pytest.raises(SettingError, match=r"Nothing would be frozen: .* regular training"):
        select_targets(robust, hm.Selection())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"keep": ()}, "Expected `keep` to name some of fragile, robust, antifragile"),
        ({"keep": "robust"}, "Expected `keep` to name some of"),
        ({"keep": ("robsut",)}, "Unknown class to `keep` 'robsut'. Did you mean robust"),
        ({"by": "adverserial"}, "Unknown score 'adverserial'. Did you mean adversarial"),
        ({"undecided": "drop"}, "Unknown choice of `undecided` 'drop'"),
        ({"others": "drop"}, "Unknown choice of `others` 'drop'"),
        ({"batchnorm": "eval"}, "Unknown choice of `batchnorm` 'eval'"),
    ],
)
def test_what_is_no_selection_is_refused(settings: dict[str, Any], message):
    with pytest.raises(SettingError, match=message):
        hm.Selection(**settings)


def test_the_study_decides_by_any_score_filter_and_scoring():
    chosen = hm.Selection(by="clean", filter="high_pass", scoring=hm.Scoring(reference="base"))
    found = target_classes(study(), chosen)
    scores = study().scores_with(hm.Scoring(reference="base"))
    rows = scores.query("filter == 'high_pass' and score == 'clean'")
    assert found["target"].tolist() == ["0.weight", "3.weight", "7.weight"]
    assert found["value"].tolist() == rows["value"].tolist()
    assert found["class"].tolist() == rows["class"].tolist()
    with pytest.raises(
        SettingError, match=r"Unknown `filter` of the study 'combind'. Did you mean"
    ):
        target_classes(study(), hm.Selection(filter="combind"))


def test_a_global_study_has_no_targets_to_choose_from():
    whole = hm.analyze(
        network(),
        data(12, 1),
        attack=hm.FGSM(0.05),
        targets=hm.Targets(scope="global"),
        sweep=hm.Sweep(thresholds=3),
        execution=hm.Execution(engine="plain", progress=False),
    )
    with pytest.raises(StudyError, match="Expected a study of single targets"):
        plan_retraining(whole, hm.Selection())


# --- what follows -------------------------------------------------------------------------------


def masks(trained, *, of=None, **changes):
    of = of or study()
    selection = hm.Selection(**changes)
    classes = target_classes(of, selection)
    return {share.parameter: share for share in make_masks(of.targets, classes, trained, selection)}


def test_biases_and_norms_do_as_their_layer():
    found = masks(["3.weight"])
    trained = {name for name, share in found.items() if share.trained}
    assert trained == {"3.weight", "4.weight", "4.bias"}
    assert found["4.bias"].why == "follows 3.weight"
    assert found["0.bias"].why == "follows 0.weight"
    assert found["1.weight"].why == "follows 0.weight"
    assert sum(share.size for share in found.values()) == sum(
        value.numel() for value in network().parameters()
    )


@pytest.mark.parametrize(("others", "count"), [("freeze", 144), ("train", 144 + 4 + 16 + 3)])
def test_biases_and_norms_can_be_decided_alone(others, count):
    found = masks(["3.weight"], others=others)
    assert sum(share.trained for share in found.values()) == count
    # The statistics of a batch norm go by the layer all the same.
    assert {name for name, share in found.items() if share.layer} == {
        "3.weight",
        "4.weight",
        "4.bias",
    }


def test_channels_are_followed_channel_by_channel():
    found = masks(["3.weight[1]", "3.weight[2]"], of=study("channel"))
    assert found["3.weight"].channels == (False, True, True, False)
    assert found["3.weight"].trained == 72
    assert found["4.bias"].channels == (False, True, True, False)
    assert found["4.bias"].trained == 2
    assert not found["4.weight"].layer
    assert not found["7.weight"].trained


@pytest.mark.parametrize(("undecided", "trained"), [("freeze", False), ("train", True)])
def test_weights_that_were_never_measured_go_by_undecided(undecided, trained):
    rows = [("a.weight", "linear", 4, 0, True), ("b.weight", "embedding", 6, 1, False)]
    targets = pd.DataFrame(rows, columns=["target", "kind", "size", "depth", "tested"])
    classes = table(**{"a.weight": (4, "robust")})
    selection = hm.Selection(undecided=undecided)
    found = make_masks(targets, classes, ["a.weight"], selection)
    assert [bool(share.trained) for share in found] == [True, trained]
    assert found[1].why == "not measured"


def test_regular_training_trains_every_parameter():
    found = make_full_masks(study().targets)
    assert all(share.trained == share.size for share in found)


# --- the arms -----------------------------------------------------------------------------------

SIZES = st.lists(st.integers(1, 1000), min_size=4, max_size=30)


@given(sizes=SIZES, seed=st.integers(0, 5), data=st.data())
def test_random_arms_have_the_number_or_the_size_of_the_selection(sizes, seed, data):
    count = data.draw(st.integers(1, len(sizes) - 1))
    labels = ["robust" if place < count else "fragile" for place in range(len(sizes))]
    classes = table(
        **{
            f"t{n}": (size, label)
            for n, (size, label) in enumerate(zip(sizes, labels, strict=True))
        }
    )
    chosen = select_targets(classes, hm.Selection())
    number = arm_targets("random-layers", classes, chosen, seed=seed)
    assert len(number) == len(chosen)
    assert number != chosen
    alike = arm_targets("random-size", classes, chosen, seed=seed)
    size = dict(zip(classes["target"], classes["size"], strict=True))
    wanted = sum(size[name] for name in chosen)
    assert alike != chosen
    assert sum(size[name] for name in alike) <= 1.05 * wanted


def test_the_size_of_a_random_arm_is_close_where_many_targets_leave_a_choice():
    names = {f"t{n}": (1 + n % 7, "robust" if n % 2 else "fragile") for n in range(60)}
    classes = table(**names)
    chosen = select_targets(classes, hm.Selection())
    size = dict(zip(classes["target"], classes["size"], strict=True))
    wanted = sum(size[name] for name in chosen)
    for seed in range(5):
        found = arm_targets("random-size", classes, chosen, seed=seed)
        assert abs(sum(size[name] for name in found) - wanted) <= 0.05 * wanted


def test_seeds_draw_other_targets_and_the_same_seed_the_same():
    names = {f"t{n}": (n + 1, "robust" if n % 2 else "fragile") for n in range(20)}
    classes = table(**names)
    chosen = select_targets(classes, hm.Selection())
    for arm in ("random-size", "random-layers"):
        drawn = [arm_targets(arm, classes, chosen, seed=seed) for seed in (1, 1, 2, 3)]
        assert drawn[0] == drawn[1]
        assert len({drawn[0], drawn[2], drawn[3]}) == 3


def test_every_arm_has_its_targets():
    chosen = frozenset("bc")
    found = {arm: arm_targets(arm, FOUR, chosen, seed=1) for arm in ARMS}
    assert found["selective"] == chosen
    assert found["everything"] == frozenset("abcde")
    assert found["fragile"] == frozenset("a")
    assert found["none"] == frozenset()


def test_a_case_says_what_it_trains():
    case = plan_retraining(study(), upper(study()))
    said = case.arm("selective", 1).described(case.classes)
    trained, frozen = said["trained_parameters"], said["frozen_parameters"]
    assert trained + frozen == sum(value.numel() for value in network().parameters())
    assert sum(said["trained_targets"].values()) == len(said["targets"])
    make_full_masks = case.arm("everything", 1).described(case.classes)
    assert make_full_masks["frozen_parameters"] == 0
    assert case.arm("none", 1).described(case.classes)["trained_parameters"] == 0
