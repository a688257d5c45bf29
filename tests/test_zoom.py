"""The zoom: what it measures is what a loop by hand does, and it finds what was planted."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

import hormesis as hm
from hormesis.analysis.paired import paired_difference
from hormesis.cli.app import main

QUIET = hm.Execution(progress=False, num_workers=1)


def mlp(planted: float = 0.0) -> Any:
    """Return a network of which, if a weight was planted, every answer hangs on that weight."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        layers = nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU()
        network: Any = nn.Sequential(*layers)
        network.append(nn.Linear(32, 4)).eval()
    if planted:
        with torch.no_grad():
            network[0].weight[5] = 0.3  # a channel that every input excites
            network[2].weight[:, 5] = 0.0
            network[2].weight[11, 5] = planted
            network[4].weight[:, 11] = torch.tensor([0.0, 0.0, 1.0, 0.0])
    return network


def data(network: nn.Module, samples: int = 96) -> tuple[Tensor, Tensor]:
    inputs = torch.rand(samples, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return inputs, network(inputs).argmax(1)


def zoom(network: nn.Module, **asked: Any) -> hm.Zoom:
    given = {"target": "2.weight", "execution": QUIET, **asked}
    samples = given.pop("data", None) or data(network)
    return hm.zoom(network, samples, **given)


def test_a_planted_super_weight_is_found_in_about_two_removals_a_halving():
    found = zoom(mlp(60.0))
    assert found.weights["set"].tolist() == ["2.weight[11, 5]"]
    assert found.finished
    halvings = math.log2(64 * 32)
    assert len(found.table) <= 2 * halvings + 1
    assert found.verdict == (
        "1 single weight matters certainly: 2.weight[11, 5]. Every set that certainly matters was "
        "divided."
    )
    assert found.ranked["set"].iloc[0] == "2.weight[11, 5]"


def test_without_one_no_single_weight_is_said_to_matter():
    network = mlp()
    found = zoom(network, budget=60)
    assert found.weights.empty
    assert found.verdict.startswith("No single weight matters certainly: the smallest set that ")
    nothing = zoom(
        network, target="0.bias", metric="accuracy", data=(torch.zeros(40, 16), labels())
    )
    assert "not even the removal of all values changes the accuracy certainly" in nothing.verdict


def labels() -> Tensor:
    return torch.arange(40) % 4


@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_every_row_is_that_of_a_loop_by_hand(metric):
    network = mlp(4.0)
    inputs, classes = data(network)
    found = zoom(network, metric=metric, budget=30)
    whole = network[2].weight
    for row in found.table.to_dict("records"):
        name, _, place = row["set"].partition("[")
        index = eval(f"np.s_[{place[:-1]}]") if place else slice(None)
        filtered = mlp(4.0)
        with torch.no_grad():
            values = filtered.get_parameter(name)
            values[index] = 0.0
            assert int((values == 0).sum() - (whole == 0).sum()) <= row["values"]
            outputs = filtered(inputs)
        if metric == "accuracy":
            scores = (outputs.argmax(1) == classes).double()
        else:
            scores = nn.functional.cross_entropy(outputs, classes, reduction="none").double()
        assert row["clean"] == pytest.approx(scores.mean().item(), abs=1e-6)
    base = {"accuracy": 1.0}.get(metric)
    if base is not None:
        assert found.base["clean"] == base
    for depth, rows in found.table.groupby("depth"):
        assert set(rows["values"]) == {2048 // 2 ** int(str(depth))}


@pytest.mark.parametrize("attack", [None, hm.PGD(0.05, steps=3)])
def test_the_engine_has_the_table_of_the_plain_loop(attack):
    network = mlp(6.0)
    tables = [
        zoom(network, attack=attack, budget=25, execution=one).table
        for one in (QUIET, hm.Execution("plain", progress=False))
    ]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    again = zoom(network, attack=attack, budget=25).table
    pd.testing.assert_frame_equal(tables[0], again)
    assert ("adversarial_difference" in tables[0]) == (attack is not None)


def test_adversarial_performance_is_that_of_a_study():
    network = mlp(6.0)
    found = zoom(network, attack=hm.FGSM(0.05), budget=1)
    study = hm.analyze(
        network,
        data(network),
        attack=hm.FGSM(0.05),
        targets=hm.Targets(include=("2.weight",)),
        sweep=hm.Sweep(("high_pass",), thresholds=2),
        execution=QUIET,
        confirmation=hm.Confirmation("never"),
    )
    last = study.responses.iloc[-1]
    assert last["density"] == 0
    row = found.table.iloc[0]
    assert (row["clean"], row["adversarial"]) == (last["clean"], last["adversarial"])
    assert dict(found.base) == {"clean": study.base.clean, "adversarial": study.base.adversarial}


def test_several_parameters_and_kernels_are_searched_together():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(1, 3, 2), nn.Flatten(), nn.Linear(27, 3)).eval()
        inputs = torch.rand(40, 1, 4, 4)
    found = zoom(network, target="*.weight", data=(inputs, network(inputs).argmax(1)), budget=40)
    assert found.table["set"].tolist()[:2] == ["0.weight", "2.weight"]
    assert set(found.table["set"]) >= {"0.weight[0, :, :, :]", "0.weight[1:3, :, :, :]"}
    assert len(found.table) <= 40


def test_a_transposed_matrix_is_halved_by_its_output_channels():
    from transformers.pytorch_utils import Conv1D

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(Conv1D(8, 16), nn.ReLU(), nn.Linear(8, 4)).eval()
    found = zoom(network, target="0.weight", budget=3)
    assert found.table["set"].tolist() == ["0.weight", "0.weight[:, 0:4]", "0.weight[:, 4:8]"]


@pytest.mark.parametrize("binary", [True, False])
def test_intervals_are_those_of_students_t_and_never_too_short(binary):
    generator = np.random.default_rng(0)
    base = generator.integers(0, 2, 200).astype(float)
    removed = np.where(generator.random(200) < 0.3, 1 - base, base)
    most = 1.0
    if not binary:
        base, removed = base + generator.random(200), 2 * removed
        most = np.abs(removed - base).max()
    found = paired_difference(removed, base, 0.01, binary=binary)
    difference = removed - base
    error = np.sqrt(difference.var(ddof=1) / 200 + (most / 600) ** 2)
    half = stats.t.ppf(0.995, 199) * error
    assert found.value == pytest.approx(difference.mean())
    assert found.high - found.value == pytest.approx(half, rel=1e-9)
    one = np.zeros(200)
    one[0] = 1.0
    rare = paired_difference(one, np.zeros(200), 0.01, binary=True)
    assert rare.high - rare.value == pytest.approx(np.log(200) / 200)
    assert not rare.certain


def test_false_alarms_are_as_rare_as_promised():
    """With labels that nothing is known of, no removal changes the accuracy but by chance."""
    alarms = 0
    for seed in range(60):
        generator = np.random.default_rng(seed)
        before, after = generator.integers(0, 2, (2, 64)).astype(float)
        alarms += any(
            paired_difference(after, before, 0.05 * share, binary=True).certain
            for share in (1.0, 0.5)
        )
    assert alarms <= 8


def test_a_removal_that_breaks_the_network_is_certain():
    found = paired_difference(np.array([1.0, np.nan]), np.ones(2), 0.05, binary=False)
    assert found.certain
    assert math.isinf(found.value)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"target": "2.wieght"}, "'2.wieght' in `target`: the nearest are 2.weight"),
        ({"target": ()}, "`target`"),
        ({"budget": 0}, "`budget`"),
        ({"execution": hm.Execution("ray", progress=False)}, "`engine`"),
        ({"level": 1.0}, "`level`"),
        ({"metric": "macro_f1"}, "whole set"),
    ],
)
def test_wrong_requests_get_one_sentence(asked, words):
    with pytest.raises(hm.HormesisError, match=words):
        zoom(mlp(), **asked)


def test_the_command_prints_a_table_and_writes_it(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "planted.py").write_text(
        "import torch\nfrom torch import nn\n\n\n"
        "def network():\n"
        "    torch.manual_seed(0)\n"
        "    made = nn.Sequential(nn.Flatten(), nn.Linear(8, 2))\n"
        "    made[1].weight.data.mul_(0.01)[1, 3] = 9\n"
        "    made[1].bias.data.copy_(torch.tensor([0.5, 0.0]))\n"
        "    return made\n\n\n"
        "def samples():\n"
        "    inputs = torch.rand(60, 1, 2, 4, generator=torch.Generator().manual_seed(0))\n"
        "    inputs[:, 0, 0, 3] += 0.2\n"
        "    return inputs.clamp(max=1), torch.ones(60, dtype=torch.long)\n"
    )
    words = ["zoom", "--model", "planted:network", "--data", "planted:samples"]
    out = tmp_path / "zoom.csv"
    assert main([*words, "--target", "1.weight", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "1.weight[1, 3]" in printed
    assert "1 single weight matters certainly" in printed
    lines = [line for line in printed.splitlines() if str(tmp_path) not in line]
    assert max(map(len, lines)) <= 80
    table = pd.read_csv(out)
    assert table.loc[table["certain"], "values"].min() == 1
    assert main([*words, "--target", "1.wieght"]) == 2
    assert "1.weight" in capsys.readouterr().err
    assert main(words) == 2
    assert "`--target`" in capsys.readouterr().err
