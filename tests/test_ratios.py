"""How much of each target can go, and the masks that follow, against a plain loop."""

from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from scipy.stats import t as student
from torch import nn
from torch.nn.utils import prune

import hormesis as hm
from hormesis.cli.app import main
from hormesis.results.masks import _parse
from hormesis.stress.parts import Part

QUIET = hm.Execution(progress=False, num_workers=1)
SAMPLES = 60


def network():
    """A network that finds about as many samples of each class."""
    torch.manual_seed(3)
    layers = (nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 6), nn.ReLU())
    made = nn.Sequential(*layers, nn.Linear(6, 3)).eval()
    with torch.no_grad():
        made[-1].bias -= made(inputs()).mean(0)
    return made


def inputs():
    return torch.rand(SAMPLES, 1, 6, 6, generator=torch.Generator().manual_seed(1))


def data():
    return inputs(), network()(inputs()).argmax(1)


def analyze(out=None, **options):
    options = {"attack": hm.FGSM(0.03), "sweep": hm.Sweep(thresholds=7), **options}
    return hm.analyze(network(), data(), out=out, execution=QUIET, **options)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return analyze(tmp_path_factory.mktemp("ratios") / "study")


def expected(study, rows, budget, on, filters=3):
    """The largest cell that suffices, by a loop over cells and formulas from textbooks."""
    outcomes = study.outcomes()
    best: Any = None
    own, base = getattr(outcomes, on), getattr(outcomes, f"base_{on}")
    for name, sweep in rows.groupby("filter", sort=False):
        shared = filters * (len(sweep) if name == "pulse_wave" else 1)
        factor = student.ppf(1 - 0.05 / shared / 2, SAMPLES - 1)
        for row in sweep.sort_values("zeroed", kind="stable").to_dict("records"):
            low = 0.0
            if row["outcome"] >= 0:
                changes = own[row["outcome"]].astype(float) - base
                low = changes.mean() - factor * np.sqrt(
                    max(changes.var(), 1 / SAMPLES) / (SAMPLES - 1)
                )
            if low < -budget and name != "pulse_wave":
                break
            if low >= -budget and row["zeroed"] > (best["zeroed"] if best else 0):
                best = row
    return best


@pytest.mark.parametrize("on", ["clean", "adversarial"])
@pytest.mark.parametrize("budget", [0.1, 0.3, 0.6])
def test_ratios_are_the_largest_within_the_budget(study, budget, on):
    table: Any = hm.ratios_per_layer(study, budget, on=on).set_index("target")
    assert list(table.index) == ["0.weight", "3.weight", "5.weight"]
    for target, rows in study.responses.groupby("target"):
        best: Any = expected(study, rows, budget, on)
        row: Any = table.loc[str(target)]
        assert row["zeroed"] == (best["zeroed"] if best else 0)
        if best:
            assert (row["filter"], row["alpha"]) == (best["filter"], best["alpha"])
            base = getattr(study.base, on)
            assert row["performance"] == best[on]
            assert row["change"] == pytest.approx(best[on] - base, abs=1e-12)
            assert row["low"] >= -budget
        assert row["ratio"] == row["zeroed"] / row["size"]


def test_nothing_may_be_lost_and_everything(study):
    assert set(hm.ratios_per_layer(study, 0)["zeroed"]) == {0}
    assert hm.masks_per_layer(study, network().state_dict(), 0) == {}
    assert set(hm.ratios_per_layer(study, 2)["ratio"]) == {1}


def test_masks_are_those_of_the_cells_and_prune_takes_them(study):
    table: Any = hm.ratios_per_layer(study, 0.3).set_index("target")
    masks: Any = hm.masks_per_layer(study, network().state_dict(), 0.3)
    assert set(masks) == set(table.index[table["zeroed"] > 0]) != set()
    pruned = network()
    for name, mask in masks.items():
        row, weights = table.loc[name], pruned.get_parameter(name).detach().numpy()
        if row["filter"] in ("high_pass", "low_pass"):
            above = row["filter"] == "high_pass"
            kept = weights > row["alpha"] if above else weights < row["alpha"]
            assert (mask == kept).all()
        assert mask.size - mask.sum() == row["zeroed"]
        module = pruned.get_submodule(name.removesuffix(".weight"))
        prune.custom_from_mask(module, "weight", torch.from_numpy(mask))
    for name, mask in masks.items():
        layer = network()
        layer.get_parameter(name).data[torch.from_numpy(~mask)] = 0
        images, labels = data()
        right = (layer(images).argmax(1) == labels).double().mean()
        assert right.item() == pytest.approx(table.loc[name, "performance"])


def test_the_command_line_writes_both(study, tmp_path, capsys):
    weights, out = tmp_path / "w.safetensors", tmp_path / "masks.safetensors"
    save_file(network().state_dict(), weights)
    words = f"export {study.folder} --budget 0.3 --what"
    assert main([*words.split(), "ratios"]) == 0
    assert capsys.readouterr().out.startswith("target,filter,alpha,zeroed,size,ratio,performance")
    assert main([*words.split(), "masks", "--weights", str(weights), "--to", str(out)]) == 0
    written = safetensors.numpy.load_file(out)
    masks: Any = hm.masks_per_layer(study, network().state_dict(), 0.3)
    assert {name: mask.tolist() for name, mask in written.items()} == {
        name: mask.tolist() for name, mask in masks.items()
    }
    weights.write_bytes(b"nothing")
    for extra, message in (
        ([], "name a file for them with `--to`"),
        (["--to", str(out)], "the network's `--weights`, as safetensors"),
        (["--to", str(out), "--weights", str(weights)], "cannot be read as safetensors"),
        (["--to", str(out), "--weights", "nowhere"], "cannot be read as safetensors"),
    ):
        assert main([*words.split(), "masks", *extra]) == 2
        assert message in " ".join(capsys.readouterr().err.split())


def test_other_weights_are_refused(study):
    other = {name: value.roll(1, 0) * 1.5 for name, value in network().state_dict().items()}
    with pytest.raises(hm.HormesisError, match=r"The study is of another network: .* removes"):
        hm.masks_per_layer(study, other, 0.3)
    with pytest.raises(hm.HormesisError, match=r"The weights have no 0\.weight"):
        hm.masks_per_layer(study, {}, 0.3)
    half = {name: value.bfloat16() for name, value in network().state_dict().items()}
    with pytest.raises(hm.HormesisError, match="on the CPU, as float32"):
        hm.masks_per_layer(study, half, 0.3)


def test_studies_without_removals_or_a_folder_are_refused(study):
    bits = analyze(sweep=hm.Sweep(filters=("quantization",), levels=(8, 2)), attack=None)
    with pytest.raises(hm.HormesisError, match="replaces values, none of which can be removed"):
        hm.ratios_per_layer(bits)
    with pytest.raises(hm.HormesisError, match="The study has no folder"):
        hm.masks_per_layer(analyze(), network().state_dict(), 0.3)
    with pytest.raises(hm.HormesisError, match="`budget` to be at least 0"):
        hm.ratios_per_layer(study, float("nan"))
    with pytest.raises(hm.HormesisError, match="`on` to be 'clean'"):
        hm.ratios_per_layer(analyze(attack=None), on="adversarial")


def test_masks_of_channels_and_groups_lie_where_they_belong(tmp_path):
    sweep = hm.Sweep(filters=("high_pass",), thresholds=2)
    masks: Any = {}
    for number, targets in enumerate(
        (hm.Targets(per="channel"), hm.Targets(groups={"both": ("0.weight", "5.weight")}))
    ):
        found = analyze(tmp_path / str(number), attack=None, sweep=sweep, targets=targets)
        table: Any = hm.ratios_per_layer(found, 2)
        assert (table["ratio"] == 1).all()
        masks: Any = hm.masks_per_layer(found, network().state_dict(), 2)
        assert sum(int((~mask).sum()) for mask in masks.values()) == table["zeroed"].sum()
    assert set(masks) == {"0.weight", "5.weight"}
    one = hm.Targets(per="channel", include=("0.weight",))
    found = analyze(tmp_path / "one", attack=None, sweep=sweep, targets=one)
    ratios: Any = hm.ratios_per_layer(found, 2)
    lows = ratios["low"].sort_values().tolist()
    budget = -(lows[0] + lows[1]) / 2
    table: Any = hm.ratios_per_layer(found, budget).set_index("target")["ratio"]
    (mask,) = hm.masks_per_layer(found, network().state_dict(), budget).values()
    gone = [not channel.any() for channel in mask]
    assert gone == [table[f"0.weight[{channel}]"] == 1 for channel in range(4)]
    assert sum(gone) == 3


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_part_is_found_by_its_key(drawn):
    shape = tuple(drawn.draw(st.lists(st.integers(2, 4), min_size=1, max_size=3)))
    axis = drawn.draw(st.integers(0, len(shape) - 1))
    index = drawn.draw(st.integers(0, shape[axis] - 1))
    box = tuple((low, low + 1) for low in (drawn.draw(st.integers(0, n - 1)) for n in shape))
    part = drawn.draw(
        st.sampled_from(
            (
                Part("a.b"),
                Part("a,b", axis, index),
                Part("w", axis, 1, shape[axis]),
                Part("w", box=box),
            )
        )
    )
    values = torch.arange(float(np.prod(shape))).view(shape)
    read = _parse(part.key())
    assert read.parameter == part.parameter
    assert read.of(values.numpy()).flatten().tolist() == part.of(values).flatten().tolist()
