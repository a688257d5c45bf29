"""Networks whose answer to a sample depends on more than the sample are refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hormesis import FGSM, Execution, analyze
from hormesis.errors import ModelError
from hormesis.models.checks import check_measurable


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * self.get_buffer("calls").add_(1)


class Noisy(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs + torch.rand_like(inputs)


class Centring(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs - inputs.mean(dim=0)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (Counting, "changes its own 'calls' when it runs"),
        (Noisy, "gives two answers to the same input"),
        (Centring, "samples of a batch change each other's logits"),
        (
            lambda: nn.Sequential(nn.BatchNorm1d(4, track_running_stats=False)),
            "first suspect being '0' .BatchNorm1d.: use running",
        ),
    ],
)
@pytest.mark.parametrize("count", [2, 5])
def test_unfit_networks_are_refused(build: Callable[[], nn.Module], words: str, count: int) -> None:
    network = build()
    before = [tensor.clone() for tensor in network.buffers()]
    state = torch.get_rng_state()
    inputs = torch.rand(count, 4, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ModelError, match=words):
        check_measurable(network, inputs)
    assert all(torch.equal(a, b) for a, b in zip(before, network.buffers(), strict=True))
    assert torch.equal(state, torch.get_rng_state())


def test_fit_networks_pass_and_keep_their_mode() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 2))
    before = [tensor.clone() for tensor in network.buffers()]
    for count in (1, 2, 7):
        check_measurable(network, torch.rand(count, 4))
    assert network.training
    assert all(torch.equal(a, b) for a, b in zip(before, network.buffers(), strict=True))


@pytest.mark.parametrize("engine", ["auto", "plain"])
def test_an_analysis_refuses_them_before_anything_is_measured(engine: str, tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3, track_running_stats=False))
    data = torch.rand(12, 4), torch.arange(12) % 3
    with pytest.raises(ModelError, match="samples of a batch change each other's logits"):
        analyze(
            network, data, attack=FGSM(0.1), out=tmp_path / "s", execution=Execution(engine=engine)
        )
    assert not list(tmp_path.iterdir())
