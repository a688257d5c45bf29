"""Replacements: known answers, closed forms, and studies of them from plan to report."""

import copy
import re
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from torch import nn

import hormesis as hm
from hormesis.cli.app import main
from hormesis.engine.plan import make_plan
from hormesis.report.text.summary import print_summary
from hormesis.report.views.command_text import command
from hormesis.report.views.method_text import facts
from hormesis.stress.parts import Part
from hormesis.stress.replacing import Level, Surroundings
from hormesis.stress.targets import find_targets

QUICK = hm.Execution(progress=False, num_workers=1)
PLAIN = hm.Execution(progress=False, num_workers=1, engine="plain")
replacements = hm.replacements


def level(value: float, *, axis: int | None = 0, seed: int = 0, **settings: object) -> Level:
    return Level(float(value), torch.Generator().manual_seed(seed), Part("w"), axis, settings)


def network() -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4)).eval()


def data(count: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.rand(count, 1, 4, 4, generator=generator)
    with torch.no_grad():
        labels = network()(inputs).argmax(dim=1)
    labels[::5] = (labels[::5] + 1) % 4  # so that the network is not always right
    return inputs, labels


def study(*filters: object, execution: hm.Execution = QUICK, **options: Any) -> Any:
    return hm.analyze(
        network(),
        data(),
        attack=hm.FGSM(0.02),
        sweep=hm.Sweep(filters=filters, **options.pop("sweep", {})),
        execution=execution,
        confirmation=hm.Confirmation("never"),
        **options,
    )


def rounded(values: list[float], bits: int) -> list[float]:
    """Round one value after the other to the symmetric grid, as a textbook does it."""
    most, top = max(map(abs, values)), 2 ** (bits - 1) - 1
    return [max(-top, min(top, round(value * top / most))) * most / top for value in values]


@pytest.mark.parametrize("bits", [2, 3, 8])
def test_values_are_rounded_to_a_symmetric_grid(bits):
    change = replacements.quantization().change
    values = torch.randn(40, generator=torch.Generator().manual_seed(bits))
    expected = torch.tensor(rounded(values.tolist(), bits), dtype=torch.float64)
    new = change(values, level(bits, per_channel=False))
    torch.testing.assert_close(new, expected, rtol=0, atol=1e-12)
    assert len(set(new.tolist())) <= 2**bits - 1


@pytest.mark.parametrize("axis", [0, 1])
def test_each_channel_has_a_grid_of_its_own(axis):
    change = replacements.quantization(per_channel=True).change
    values = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(0))
    new = change(values, level(3, axis=axis, per_channel=True))
    for channel in range(values.shape[axis]):
        own = values.select(axis, channel).flatten().tolist()
        expected = torch.tensor(rounded(own, 3), dtype=torch.float64)
        actual = new.select(axis, channel).flatten()
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("bits", [2, 4, 6, 8])
def test_a_tensor_on_the_grid_comes_back_bit_for_bit(bits, dtype):
    top = 2 ** (bits - 1) - 1
    steps = torch.arange(-top, top + 1, dtype=torch.float64)
    for scale in (0.1, 1 / 3, 0.0123):
        values = (steps * scale).to(dtype)
        new = replacements.quantization().change(values, level(bits, per_channel=False))
        assert torch.equal(new.to(dtype), values)


def test_a_layer_on_its_grid_is_robust_at_its_bits_and_above():
    given = network()
    steps = torch.randint(-7, 8, (8, 16), generator=torch.Generator().manual_seed(0)).float()
    steps[0, 0] = 7
    with torch.no_grad():
        given[1].weight.copy_(steps * 0.0625)
    sweep = hm.Sweep(filters=(replacements.quantization((4,)),))
    found = hm.analyze(given, data(), attack=hm.FGSM(0.02), sweep=sweep, execution=QUICK)
    on_grid = found.responses.loc[found.responses["target"] == "1.weight"].iloc[0]
    assert (on_grid["zeroed"], on_grid["density"], on_grid["outcome"]) == (0, 1.0, -1)
    relative = on_grid["clean"] / found.base.clean, on_grid["adversarial"] / found.base.adversarial
    assert relative == (1.0, 1.0)
    other = found.responses.loc[found.responses["target"] == "3.weight"].iloc[0]
    assert other["zeroed"] > 0


def test_noise_has_its_share_of_the_spread():
    values = 3 * torch.randn(20_000, generator=torch.Generator().manual_seed(0)) + 1
    new = replacements.weight_noise().change(values, level(0.1))
    spread = float((new - values.double()).std() / values.double().std())
    assert spread == pytest.approx(0.1, rel=0.03)
    assert torch.equal(new, replacements.weight_noise().change(values, level(0.1)))


def test_shuffling_and_sign_flips_touch_their_share():
    values = torch.arange(1.0, 101.0).view(10, 10)
    shuffled = replacements.shuffling().change(values.clone(), level(0.3))
    assert sorted(shuffled.flatten().tolist()) == sorted(values.flatten().tolist())
    assert 0 < int((shuffled != values).sum()) <= 30
    flipped = replacements.sign_flips().change(values.clone(), level(0.3))
    assert int((flipped != values).sum()) == 30
    assert torch.equal(flipped.abs(), values)


@pytest.mark.parametrize(
    ("number_format", "bit", "value", "expected"),
    [
        ("float32", 31, 1.5, -1.5),  # the sign
        ("float32", 23, 1.0, 0.5),  # the lowest bit of the exponent, 127 → 126
        ("float32", 30, 1.0, float("inf")),  # its highest: 127 → 255
        ("float32", 22, 1.0, 1.5),  # the highest bit of the fraction
        ("bfloat16", 15, 1.5, -1.5),
        ("bfloat16", 7, 1.0, 0.5),
        ("int8", 0, 1.27, 1.26),  # the code 127 → 126
        ("int8", 7, 1.27, -0.01),  # 127 → −1 in two's complement
    ],
)
def test_a_flipped_bit_is_that_of_the_format(number_format, bit, value, expected):
    one = replacements.bit_position_faults((bit,), number_format=number_format)
    new = one.change(torch.tensor([value]), level(bit, **one.settings))
    assert float(new) == pytest.approx(expected, rel=1e-6)


def test_so_many_different_bits_are_flipped():
    values = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    for count in (1, 10, 400, 1120):
        one = replacements.bit_faults((count,))
        new = one.change(values.clone(), level(count, **one.settings)).contiguous()
        differing = values.view(torch.int32) ^ new.view(torch.int32)
        ones = sum(bin(code & 0xFFFFFFFF).count("1") for code in differing.flatten().tolist())
        assert ones == count  # 1120 are all bits there are


def test_values_that_are_no_numbers_do_not_break_a_study(tmp_path):
    found = study(replacements.bit_faults((1, 100), draws=1), metric="loss")
    same = study(replacements.bit_faults((1, 100), draws=1), metric="loss", execution=PLAIN)
    for name in ("clean", "adversarial"):
        assert found.responses[name].notna().tolist() == same.responses[name].notna().tolist()
    hm.write_report(found, tmp_path / "page.html")


def test_fresh_weights_are_those_of_the_module_itself():
    given = network()
    plan = make_plan(
        given,
        find_targets(given, data()[0][:2], hm.Targets()),
        hm.Sweep(filters=(replacements.reinitialization((0.5, 1), draws=1),)),
    )
    half, whole = plan.removals[:2]
    parameters = dict(given.named_parameters())
    fresh = whole.apply(parameters)["1.weight"]
    assert float(fresh.abs().max()) <= 16**-0.5  # the bound of nn.Linear's reset_parameters
    own = parameters["1.weight"].detach()
    middle = half.apply(parameters)["1.weight"]
    torch.testing.assert_close(middle, (own + fresh) / 2, rtol=0, atol=1e-7)


def test_weights_go_back_to_those_of_a_file(tmp_path):
    earlier = {name: torch.randn_like(value) for name, value in network().state_dict().items()}
    prefixed = {f"model.{name}": value for name, value in earlier.items()}
    torch.save({"state_dict": prefixed}, tmp_path / "w.pt")
    parameters = dict(network().named_parameters())
    plan = make_plan(
        network(),
        find_targets(network(), data()[0][:2], hm.Targets()),
        hm.Sweep(filters=(replacements.rewinding(tmp_path / "w.pt", (1,)),)),
    )
    for removal in plan.removals:
        for name, values in removal.apply(parameters).items():
            assert torch.equal(values, earlier[name])
    with pytest.raises(hm.HormesisError, match=r"no values for 1\.weight"):
        study(replacements.rewinding({"other": torch.zeros(2)}, (1,)))
    with pytest.raises(hm.HormesisError, match=r"1\.weight of shape \(2,\)"):
        study(replacements.rewinding({"1.weight": torch.zeros(2)}, (1,)))


def test_the_worst_weights_of_a_linear_loss_lie_along_its_gradient():
    linear = nn.Linear(3, 1, bias=False)
    inputs = torch.tensor([[1.0, 2.0, 2.0], [3.0, 0.0, 0.0]])
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[3.0, 0.0, 4.0]]))  # of norm 5
    loss = hm.Loss("sum", lambda outputs, labels: outputs[:, 0])
    around = Surroundings(linear, hm.Samples(inputs, torch.zeros(2).long(), None, 0, "two"), loss)
    sweep = hm.Sweep(filters=(replacements.worst_case((0.1, 0.2)),))
    targets = find_targets(linear, inputs, hm.Targets())
    before = copy.deepcopy(linear.state_dict())
    plan = make_plan(linear, targets, sweep, around)
    gradient = inputs.mean(dim=0)
    for removal, radius in zip(plan.removals, (0.1, 0.2), strict=True):
        (worst,) = removal.apply(dict(linear.named_parameters())).values()
        expected = linear.weight + radius * 5 * gradient / gradient.norm()
        torch.testing.assert_close(worst, expected.detach(), rtol=0, atol=1e-5)
    assert torch.equal(linear.weight, before["weight"])


def test_names_and_objects_ask_the_same():
    named = study("quantization", sweep={"levels": (8, 4, 2)})
    given = study(replacements.quantization((8, 4, 2)))
    assert named.manifest["question"] == given.manifest["question"]
    pd.testing.assert_frame_equal(named.scores, given.scores)
    entry = given.manifest["question"]["sweep"]
    assert entry["replacements"] == {
        "quantization": {"levels": [8.0, 4.0, 2.0], "unit": "bits", "per_channel": False}
    }
    assert (entry["filters"], entry["thresholds"]) == (("quantization",), 3)


def test_one_level_counts_for_the_whole_sweep(tmp_path):
    found = study(replacements.reinitialization((1,), draws=2), out=tmp_path / "study")
    rows = found.responses.set_index(["target", "filter"])
    scores = found.scores.loc[found.scores["score"] == "clean"].set_index(["target", "filter"])
    for key in rows.index:
        expected = rows.loc[key, "clean"] / found.base.clean - 1
        assert scores.loc[key, "value"] == pytest.approx(expected, abs=1e-6)
    for target in rows.index.unique("target"):
        draws = ["reinitialization", "reinitialization_draw_2"]
        mean = scores.loc[[(target, name) for name in draws], "value"].mean()
        assert scores.loc[(target, "combined"), "value"] == pytest.approx(mean, abs=1e-6)
    assert hm.load_study(tmp_path / "study").scores.equals(found.scores)
    hm.write_report(found, tmp_path / "page.html")
    assert found.plot.responses("1.weight").axes


def test_a_study_is_written_extended_and_shown_without_a_word_on_removal(tmp_path, capsys):
    out = tmp_path / "study"
    first = study(replacements.weight_noise((0.1, 1), draws=1), out=out)
    more = hm.Execution(progress=False, num_workers=1, extend=str(out))
    second = study(
        replacements.weight_noise((0.1, 1, 3), draws=2), execution=more, out=tmp_path / "more"
    )
    anew = study(replacements.weight_noise((0.1, 1, 3), draws=2))
    pd.testing.assert_frame_equal(second.scores, anew.scores)
    shared = second.responses.loc[second.responses["filter"] == "weight_noise"]
    before = first.responses.set_index(["target", "alpha"])["clean"]
    after = shared.set_index(["target", "alpha"])["clean"].loc[before.index]
    assert before.tolist() == after.tolist()
    assert main(["show", str(out)]) == 0
    shown = capsys.readouterr().out
    assert not re.search(r"filter|remov|densit|threshold|kept", shown.replace("unfiltered", ""))
    assert dict(facts(first))["Replacements"] == (
        "weight noise at 0.1, 1 (noise / standard deviation)"
    )
    assert "--filters weight_noise --levels 0.1 1" in command(first)


def test_other_references_are_refused_where_values_are_replaced(tmp_path):
    quick = replacements.quantization((4, 2))
    for name in ("density", "random"):
        scoring = hm.Scoring(reference=name)
        with pytest.raises(hm.HormesisError, match="'base' for replacements"):
            study(quick, scoring=scoring)
        with pytest.raises(hm.HormesisError, match="'base' for replacements"):
            study(quick).with_scoring(scoring)
        with pytest.raises(hm.HormesisError, match="'base' for replacements"):
            study(quick).scores_with(scoring)


def test_the_command_line_takes_names_and_levels(tmp_path, capsys):
    asked = "analyze --model resnet18 --weights random --data digits --samples 10 --attack none"
    asked += " --engine plain"
    out = tmp_path / "study"
    words = "--confirm never --include fc.weight --filters quantization --levels"
    assert main([*asked.split(), "--out", str(out), *words.split(), "8,2"]) == 0
    capsys.readouterr()
    for form in ("json", "yaml"):
        export = f"export {out} --what bits --format {form} --budget 1"
        assert main(export.split()) == 0
        (row,) = yaml.safe_load(capsys.readouterr().out)
        assert (row["target"], row["bits"]) == ("fc.weight", 2)
    assert main([*asked.split(), "--out", str(tmp_path / "no"), *words.split(), "1"]) == 2
    assert "`--levels` of 'quantization' to be whole numbers from 2" in capsys.readouterr().err


def test_bits_are_the_fewest_that_stay_within_the_budget():
    found = study(replacements.quantization((8, 4, 3, 2)))
    table = hm.bits_per_layer(found, 0.2).set_index("target")
    outcomes = found.outcomes()
    factor = found.interval_method(found.scoring, 40).critical()
    for target, rows in found.responses.groupby("target"):
        enough = []
        for row in rows.sort_values("step").to_dict("records"):
            changes = outcomes.clean[row["outcome"]] - outcomes.base_clean
            spread = max(float(changes.var()), 1 / 40)
            if changes.mean() - factor * (spread / 39) ** 0.5 < -0.2:
                break
            enough.append(int(row["alpha"]))
        assert table.loc[str(target), "bits"] == enough[-1]
    assert hm.bits_per_layer(found, 0.0)["bits"].isna().tolist() == [True, True]
    with pytest.raises(hm.HormesisError, match="`budget` to be at least 0"):
        hm.bits_per_layer(found, -1)
    with pytest.raises(hm.HormesisError, match="sweep `quantization`"):
        hm.bits_per_layer(study(replacements.sign_flips((0.1,), draws=1)))


def test_the_mean_over_draws_is_shown_by_name(capsys):
    sweep = hm.Sweep(filters=(hm.replacements.sign_flips((0.1, 0.5), draws=2),))
    shown = hm.analyze(network(), data(), attack=None, sweep=sweep, execution=QUICK)
    print_summary(shown)
    assert "mean of the draws; base network" in capsys.readouterr().out
