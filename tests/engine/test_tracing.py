"""What an export says of a network that it does not understand: one short line, on no screen."""

import logging
import warnings

import pytest
import torch
from torch import Tensor, nn

from hormesis.engine import plain
from hormesis.engine.graph import NotExportable
from hormesis.engine.outcomes import Block, MeasurementSpec
from hormesis.engine.plan import make_plan
from hormesis.engine.suffix import compile_network, measure
from hormesis.engine.tracing import export
from hormesis.models.adapter import adapt
from hormesis.settings.attacks import NoAttack
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from hormesis.stress.metric import Metric
from hormesis.stress.metrics import accuracy, binary_accuracy, squared_error
from hormesis.stress.targets import find_targets


class DataDependent(nn.Module):
    """Computes with as many values as its inputs are positive: PyTorch prints the graph of it."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        warnings.warn("a look at the values", stacklevel=1)
        chosen = inputs.nonzero()
        if len(chosen) == 1:
            return self.last(inputs)
        logging.getLogger("torch.export").error("pages of a graph")
        return self.last(inputs * chosen.shape[0])


class LargeBatches(nn.Module):
    """Takes another way for many samples, as the decoders of diffusers do from 64 on."""

    def __init__(self, most: int = 0) -> None:
        super().__init__()
        self.first, self.last, self.most = nn.Linear(4, 6), nn.Linear(6, 3), most

    def forward(self, *, inputs: Tensor) -> dict[str, Tensor]:
        hidden = self.first(inputs).relu()
        if self.most and hidden.shape[0] > self.most:
            hidden = hidden.contiguous()
        return {"logits": self.last(hidden), "hidden": hidden}


def test_a_refusal_is_one_line_and_nothing_is_printed(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TORCH_LOGS", raising=False)
    with pytest.raises(NotExportable, match=r"torch\.export refused it: ") as caught:
        export(DataDependent(), torch.rand(3, 4))
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 200
    assert capfd.readouterr() == ("", "")


def test_logs_work_again_afterwards() -> None:
    top = logging.getLogger("torch")
    before = top.propagate, list(top.handlers), [list(one.filters) for one in top.handlers]
    with pytest.raises(NotExportable):
        export(DataDependent(), torch.rand(3, 4))
    after = top.propagate, list(top.handlers), [list(one.filters) for one in top.handlers]
    assert after == before


def test_a_network_with_another_way_for_large_batches_is_measured_in_small_ones() -> None:
    inputs = {"inputs": torch.rand(50, 4, generator=torch.Generator().manual_seed(0))}
    network = adapt(LargeBatches(19).eval(), inputs)
    program = compile_network(network, {"inputs": inputs["inputs"][:3]})
    assert program.most_rows == 19
    block = Block(inputs, torch.zeros(50, dtype=torch.int64))
    spec = MeasurementSpec(accuracy, NoAttack(), adaptive=False, bounds=(0.0, 1.0), seed=0)
    with torch.inference_mode():
        expected = (network(inputs).argmax(dim=1) == 0).float()
    assert torch.equal(measure(program, network, (), block, spec).base_clean, expected)


def test_adapted_networks_are_traced_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without strict mode, which takes three times as long and understands less."""
    seen, original = [], torch.export.export

    def noting(*args: object, strict: bool, **options: object) -> object:
        seen.append(strict)
        return original(*args, strict=strict, **options)  # pyright: ignore

    monkeypatch.setattr(torch.export, "export", noting)
    inputs = {"inputs": torch.rand(3, 4)}
    for output in (None, "*", "hidden"):
        export(adapt(LargeBatches().eval(), inputs, output), inputs)
    assert seen == [False, False, False]


class Single(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.last(self.first(inputs).relu()).squeeze(1)


@pytest.mark.parametrize("metric", [squared_error, binary_accuracy])
def test_outputs_of_one_number_a_sample(metric: Metric) -> None:
    network = Single().eval()
    inputs = torch.rand(8, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(8) % 2
    block = Block(inputs, labels if metric.binary else labels.float())
    spec = MeasurementSpec(metric, NoAttack(), adaptive=False, bounds=(0.0, 1.0), seed=0)
    targets = find_targets(network, inputs[:2], Targets())
    removals = make_plan(network, targets, Sweep(thresholds=3)).removals
    found = measure(compile_network(network, inputs[:2]), network, removals, block, spec)
    expected = plain.measure(network, removals, block, spec)
    torch.testing.assert_close(found.clean, expected.clean, rtol=1e-4, atol=1e-6)
    assert torch.equal(found.changed, expected.changed)
