"""The numbers behind each picture, for studies that fit on a page."""

import math

import pytest

import handset
from handset import ANTIFRAGILE, FRAGILE, ROBUST
from hormesis.report.views.figures import (
    main_filter,
    target_rows,
    target_sweeps,
    telling_targets,
)


def test_a_row_for_each_target_in_the_order_of_data():
    study = handset.study(
        {"z.weight": ANTIFRAGILE, "a.bias": FRAGILE}, sizes={"z.weight": 12, "a.bias": 7}
    )
    first, second = target_rows(study)
    assert (first.target, first.size) == ("z", 12)
    assert (second.target, second.size) == ("a.bias", 7)
    assert first.values == pytest.approx((0.5, 0.5, 0.0), abs=1e-15)
    assert second.values == pytest.approx((1 / 6 - 0.5, 1 / 6 - 0.5, 0.0), abs=1e-15)
    assert first.classes == ("antifragile", "antifragile (unconfirmed)", "robust")
    assert second.classes == ("fragile", "fragile", "robust")


def test_the_rows_of_one_filter():
    study = handset.study({"w": ROBUST})
    study.responses.loc[study.responses["filter"] == "low_pass", "clean"] = 0.0
    assert target_rows(study, "low_pass")[0].values[0] == pytest.approx(-0.5, abs=1e-15)
    assert target_rows(study, "high_pass")[0].values[0] == pytest.approx(0.0, abs=1e-15)
    assert target_rows(study)[0].values[0] == pytest.approx(-0.5 / 3, abs=1e-15)


def test_what_was_left_out_has_no_row():
    study = handset.study({"w": ROBUST})
    assert "fc.bias" in study.targets["target"].tolist()
    assert [row.target for row in target_rows(study)] == ["w"]


def test_a_row_without_numbers():
    untested = target_rows(handset.study({"w": ROBUST, "v": ROBUST}, unreached=("w",)))[0]
    assert untested.classes == ("untested",) * 3
    assert all(math.isnan(value) for value in untested.values)
    floored = handset.study({"w": ROBUST}, base={"clean": 0.8, "adversarial": 0.0})
    row = target_rows(floored)[0]
    assert row.classes == ("robust", "undefined", "undefined")
    assert [math.isnan(value) for value in row.values] == [False, True, True]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (("high_pass", "low_pass", "pulse_wave"), "combined"),
        (("pulse_wave", "low_pass"), "pulse_wave"),
        (("low_pass",), "low_pass"),
    ],
)
def test_the_filter_to_show(filters, expected):
    assert main_filter(handset.study({"w": ROBUST}, filters).scores) == expected


def test_the_curves_of_one_target():
    study = handset.study({"v": FRAGILE, "w": (0.8, 0.6, 0.1)}, ("low_pass", "high_pass"))
    shuffled = study.responses.iloc[::-1].reset_index(drop=True)
    study = handset.Study(study.manifest, study.targets, shuffled)
    sweeps = dict(target_sweeps(study.responses, "w"))
    assert set(sweeps) == {"low_pass", "high_pass"}
    columns = ["progress", "clean", "adversarial", "density"]
    assert sweeps["low_pass"][columns].to_numpy().T.tolist() == [
        [0.0, 0.5, 1.0],
        [0.8, 0.6, 0.1],
        [0.4, 0.3, 0.05],
        [1.0, 0.5, 0.0],
    ]


def test_curves_come_in_the_order_of_filters_that_was_asked_for():
    study = handset.study({"w": ROBUST}, ("pulse_wave", "low_pass", "high_pass"))
    names = [name for name, _ in target_sweeps(study.responses, "w")]
    assert names == ["pulse_wave", "low_pass", "high_pass"]


def falling(*middles: float) -> dict[str, tuple[float, float, float]]:
    return {f"w{place}": (0.8, middle, 0.0) for place, middle in enumerate(middles)}


@pytest.mark.parametrize(
    ("curves", "expected"),
    [
        (falling(0.5), ["w0"]),
        (falling(0.5, 0.1), ["w1", "w0"]),
        (falling(0.5, 0.1, 0.3), ["w1", "w2", "w0"]),
        (falling(0.4, 0.3, 0.2, 0.1, 0.0), ["w4", "w2", "w0"]),
        (falling(0.5, 0.5, 0.5, 0.5), ["w0", "w2", "w3"]),
    ],
)
def test_telling_targets_are_lowest_median_and_highest(curves, expected):
    assert telling_targets(handset.study(curves)) == expected


def test_where_the_attack_floors_the_network_the_clean_score_tells():
    floored = {"clean": 0.8, "adversarial": 0.0}
    study = handset.study(falling(0.5, 0.1, 0.3), base=floored)
    assert telling_targets(study) == ["w1", "w2", "w0"]


def test_untested_targets_tell_nothing():
    study = handset.study(falling(0.5, 0.1, 0.3), unreached=("w1",))
    assert telling_targets(study) == ["w2", "w0"]
    nothing = {"clean": 0.0, "adversarial": 0.0}
    assert telling_targets(handset.study(falling(0.5), base=nothing)) == []
