"""Which target feeds which: chains, shortcuts, branches and what is passed by."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import hormesis as hm
from hormesis.engine.dataflow import Node, flow_between_targets, flow_of
from hormesis.engine.tracing import export

QUIET = hm.Execution(progress=False, num_workers=1)


class Shortcut(nn.Module):
    """Two layers with a shortcut around them, then another."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        inputs = inputs.flatten(1)
        return self.last(inputs + self.second(torch.relu(self.first(inputs))))


class Split(nn.Module):
    """Two branches that are joined, one of them through a layer that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.left = nn.Linear(4, 4), nn.Linear(4, 3)
        self.twice, self.last = nn.Linear(4, 4), nn.Linear(7, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        stem = self.stem(inputs.flatten(1))
        right = self.twice(torch.relu(self.twice(stem)))
        return self.last(torch.cat([self.left(stem), right], dim=1))


def between(network: nn.Module, *kinds: str) -> list[tuple[list[str], list[int]]]:
    network.eval()
    names = {name: name for name, _ in network.named_parameters() if name.endswith(kinds)}
    nodes = flow_between_targets(flow_of(export(network, torch.zeros(1, 1, 2, 2))), names)
    return [(node["targets"], node["after"]) for node in nodes]


def test_a_shortcut_from_the_input_has_no_start_of_its_own():
    assert between(Shortcut(), "weight") == [
        (["first.weight"], []),
        (["second.weight"], [0]),
        (["last.weight"], [1]),
    ]


def test_a_shortcut_around_a_layer_meets_it_again():
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 4), Shortcut())
    assert between(network, "weight") == [
        (["1.weight"], []),
        (["2.first.weight"], [0]),
        (["2.second.weight"], [1]),
        ([], [0, 2]),
        (["2.last.weight"], [3]),
    ]


def test_branches_and_a_layer_that_is_used_twice():
    assert between(Split(), "weight") == [
        (["stem.weight"], []),
        (["twice.weight"], [0]),
        (["twice.weight"], [1]),
        (["left.weight"], [0]),
        ([], [2, 3]),
        (["last.weight"], [4]),
    ]


def test_parameters_of_one_operation_stand_together():
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    assert between(network, "weight", "bias") == [(["1.weight", "1.bias"], [])]


def test_a_meeting_that_nothing_follows_is_left_out():
    nodes = (Node(("a",), ()), Node(("b",), (0,)), Node((), (0, 1)), Node(("norm",), (2,)))
    assert flow_between_targets(nodes, {"a": "A", "b": "B"}) == [
        {"targets": ["A"], "after": []},
        {"targets": ["B"], "after": [0]},
    ]


@pytest.mark.parametrize("per", ["tensor", "channel"])
def test_a_study_knows_the_way(per):
    data = torch.rand(12, 1, 2, 2), torch.arange(12) % 2
    study = analyzed(Shortcut(), data, targets=hm.Targets(per=per))
    assert study.manifest["flow"] == [
        {"targets": ["first.weight"], "after": []},
        {"targets": ["second.weight"], "after": [0]},
        {"targets": ["last.weight"], "after": [1]},
    ]


def test_names_are_those_of_the_targets():
    data = torch.rand(12, 1, 2, 2), torch.arange(12) % 2
    network = hm.normalized(Shortcut(), mean=(0.5,), std=(0.5,))
    study = analyzed(network, data)
    named = [name for node in study.manifest["flow"] for name in node["targets"]]
    assert named == study.responses["target"].unique().tolist()


def test_the_plain_loop_and_a_global_analysis_know_no_way():
    data = torch.rand(12, 1, 2, 2), torch.arange(12) % 2
    plain = analyzed(Shortcut(), data, execution=hm.Execution(progress=False, engine="plain"))
    assert "flow" not in plain.manifest
    together = analyzed(Shortcut(), data, targets=hm.Targets(scope="global"))
    assert "flow" not in together.manifest


def analyzed(network: nn.Module, data: tuple[Tensor, Tensor], **settings: Any) -> hm.Study:
    asked = {
        "attack": hm.FGSM(0.1),
        "sweep": hm.Sweep(thresholds=3),
        "confirmation": hm.Confirmation(when="never"),
        "execution": QUIET,
        **settings,
    }
    return hm.analyze(network, data, **asked)
