"""Scores over thresholds of the user's own, which need not lie evenly."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import simpson
from torch import nn

import hormesis as hm
from hormesis.analysis.integration import integral, simpson_weights, sweep_weights, uneven_points
from hormesis.analysis.responses import Sweeps
from hormesis.engine.plan import make_plan
from hormesis.engine.tables import cell_table
from hormesis.stress.targets import find_targets

LIST = (-0.2, -0.1, 0.0, 0.05, 0.3)
PROGRESS = [0.0, 0.2, 0.4, 0.5, 1.0]


def sweeps(*rows: list[float]) -> Sweeps:
    names = tuple(("w", f"filter_{number}") for number in range(len(rows)))
    return Sweeps(names, {"progress": np.array(rows)})


def test_uneven_thresholds_are_integrated_where_they_stand():
    points = uneven_points(sweeps(PROGRESS, [1 - x for x in PROGRESS[::-1]]))
    assert points is not None
    curves = np.random.default_rng(0).random((2, 5))
    expected = np.array([simpson(curve, x=x) for curve, x in zip(curves, points, strict=True)])
    np.testing.assert_allclose(integral(curves, points), expected, rtol=1e-12)
    weights = sweep_weights(sweeps(PROGRESS, [1 - x for x in PROGRESS[::-1]]))
    np.testing.assert_allclose((weights * curves).sum(axis=1), expected, rtol=1e-12)


@pytest.mark.parametrize("steps", [2, 3, 4, 9, 25])
def test_even_thresholds_have_the_numbers_that_they_always_had(steps):
    column = [step / (steps - 1) for step in range(steps)]
    assert uneven_points(sweeps(column)) is None
    curve = np.random.default_rng(steps).random(steps)
    before = simpson(curve, x=np.linspace(0.0, 1.0, steps), axis=-1)
    assert float(integral(curve)) == float(before)
    assert sweep_weights(sweeps(column)).tolist() == simpson_weights(steps).tolist()


def test_a_column_that_does_not_rise_from_0_to_1_is_no_position():
    for column in ([0.0, 0.5, 0.5, 1.0], [0.1, 0.2, 0.5, 1.0], [0.0, 0.7, 0.2, 1.0]):
        assert uneven_points(sweeps(column)) is None


def network() -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4)).eval()


def data() -> tuple[torch.Tensor, torch.Tensor]:
    inputs = torch.rand(60, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return inputs, network()(inputs).argmax(dim=1)


def study(**asked: Any) -> Any:
    return hm.analyze(
        network(),
        data(),
        attack=hm.FGSM(0.05),
        sweep=hm.Sweep(**asked),
        execution=hm.Execution(progress=False, num_workers=1),
        confirmation=hm.Confirmation("never"),
    )


def test_a_list_of_thresholds_is_scored_by_simpsons_rule_for_uneven_points():
    found = study(thresholds=(0.3, -0.2, 0.0, -0.1, 0.05), control=2)
    assert found.manifest["question"]["sweep"]["thresholds"] == LIST
    scores = found.scores.set_index(["target", "filter", "score"])["value"]
    groups: Any = found.responses.groupby(["target", "filter"])
    for (target, name), rows in groups:
        rows = rows.sort_values("step")
        alphas = LIST[::-1] if name == "low_pass" else LIST
        assert rows["alpha"].tolist() == pytest.approx(alphas, abs=1e-7)
        x = np.array(PROGRESS) if name != "low_pass" else 1 - np.array(PROGRESS)[::-1]
        np.testing.assert_allclose(rows["progress"], x, atol=1e-6)
        curve = rows["clean"].to_numpy() / found.base.clean - 1
        expected = simpson(curve, x=rows["progress"].to_numpy())
        assert scores[target, name, "clean"] == pytest.approx(expected, abs=1e-12)
    assert found.scores_with(hm.Scoring(reference="random"))["value"].notna().all()


def test_each_sample_counts_with_the_weights_of_uneven_thresholds():
    found = study(thresholds=LIST)
    outcomes, base = found.outcomes(), found.base.clean
    for name, x in (("high_pass", PROGRESS), ("low_pass", [1 - at for at in PROGRESS[::-1]])):
        weights = [simpson(unit, x=np.array(x)) for unit in np.eye(5)]
        values, _ = found.influence(name)
        for row, target in enumerate(("1.weight", "3.weight")):
            table = found.responses
            cells = table.loc[(table["target"] == target) & (table["filter"] == name)]
            expected = np.zeros(60)
            for weight, cell in zip(weights, cells.sort_values("step").itertuples(), strict=True):
                own = outcomes.base_clean if cell.outcome < 0 else outcomes.clean[cell.outcome]
                expected += weight * (own - cell.clean) / base
                expected -= weight * cell.clean * (outcomes.base_clean - base) / base**2
            np.testing.assert_allclose(values[0, row], expected, atol=1e-5)


def test_windows_of_a_list_do_not_touch_and_the_control_knows_its_threshold():
    found = study(thresholds=LIST, filters=("pulse_wave",))
    rows = found.responses.loc[found.responses["target"] == "1.weight"].sort_values("step")
    assert (rows["upper"].to_numpy()[:-1] < rows["lower"].to_numpy()[1:]).all()
    width = (rows["upper"] - rows["lower"]).to_numpy()
    np.testing.assert_allclose(width, 0.05 * 4 / 5, rtol=1e-5)


def test_quantiles_remove_even_shares():
    cells = cells_of(hm.Sweep(("high_pass",), thresholds=5, spacing="quantile"))
    size = 128
    assert cells["zeroed"].tolist() == [1, size // 4, size // 2, 3 * size // 4, size]
    pulses = cells_of(hm.Sweep(("pulse_wave",), thresholds=5, spacing="quantile"))
    assert pulses["zeroed"].sum() == pytest.approx(size * 0.8, abs=4)
    assert cells["progress"].tolist() == [0, 0.25, 0.5, 0.75, 1]


def test_a_log_scale_runs_from_the_smallest_magnitude_to_the_largest():
    cells = cells_of(hm.Sweep(("high_pass",), thresholds=4, spacing="log", by="magnitude"))
    magnitudes = network()[1].weight.detach().abs()
    expected = np.geomspace(float(magnitudes.min()), float(magnitudes.max()), 4)
    np.testing.assert_allclose(cells["alpha"], expected, rtol=1e-5)
    removed = [int((magnitudes <= np.float32(alpha)).sum()) for alpha in cells["alpha"]]
    assert cells["zeroed"].tolist() == removed


def cells_of(sweep: hm.Sweep) -> Any:
    given = network()
    cells = cell_table(make_plan(given, find_targets(given, data()[0][:2], hm.Targets()), sweep))
    return cells.loc[cells["target"] == "1.weight"]


def test_every_value_is_removed_for_its_share_of_a_square_waves_sweep():
    wave = hm.Sweep(("square_wave",), thresholds=101)
    cells = cells_of(wave)
    assert cells["density"].iloc[:-1].mean() == pytest.approx(0.5, abs=0.02)
    plan = make_plan(network(), find_targets(network(), data()[0][:2], hm.Targets()), wave)
    own = network()[1].weight.detach()
    gone = torch.zeros_like(own)
    for cell in plan.cells:
        if cell.target == "1.weight" and cell.threshold.step < 100 and cell.removal >= 0:
            (after,) = plan.removals[cell.removal].apply({"1.weight": own}).values()
            gone += (after == 0).float()
    assert float(gone.min()) >= 48
    assert float(gone.max()) <= 52


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"thresholds": (0.1, 0.1, 0.2)}, "`thresholds` to differ"),
        ({"thresholds": (0.1, float("nan"))}, "`thresholds` to be finite numbers"),
        ({"thresholds": (0.1,)}, "`thresholds` to be at least 2, got 1"),
        ({"thresholds": (0.1, 0.2), "spacing": "quantile"}, "leave out one of both"),
        ({"spacing": "log"}, "`by` to be 'magnitude'"),
        ({"levels": (1.0,)}, "no `levels` for filters"),
        ({"filters": ("high_pass", "quantization")}, "either filters or replacements"),
        ({"filters": ("quantization",), "thresholds": 5}, "no `thresholds` for replacements"),
        ({"filters": ("quantization",), "control": True}, "no `control` for replacements"),
        ({"filters": ("quantization",), "levels": (4, 4)}, "`levels` to differ"),
        ({"filters": (hm.replacements.quantization,)}, r"call it, as in `quantization\(\)`"),
        ({"filters": (hm.FGSM(0.1),)}, "names, filters or replacements, got FGSM"),
        ({"filters": ("quantisation",)}, "quantization"),
    ],
)
def test_sweeps_that_make_no_sense_are_refused(asked, words):
    with pytest.raises(hm.HormesisError, match=words):
        hm.Sweep(**asked)
