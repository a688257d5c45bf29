import pytest
import torch
from torch import nn

from hormesis.models.eval_mode import evaluation_mode


def mixed_network():
    """Return a network with mixed modes and gradients, shared weights and a trainable buffer."""
    shared = nn.Linear(4, 4)
    network = nn.Sequential(shared, nn.BatchNorm1d(4), nn.Dropout(), shared, nn.Linear(4, 2))
    network.register_buffer("scale", torch.ones(2, requires_grad=True))
    network.eval()
    network[1].train()
    network[4].bias.requires_grad_(False)
    network[4].weight.grad = torch.full((2, 4), 3.0)
    return network


def state(network):
    tensors = [*network.named_parameters(), *network.named_buffers()]
    return {
        "modes": [module.training for module in network.modules()],
        "values": [tensor.detach().clone().tolist() for _, tensor in tensors],
        "asked": [tensor.requires_grad for _, tensor in tensors],
        "gradients": [id(tensor.grad) for _, tensor in tensors],
        "given": [None if t.grad is None else t.grad.tolist() for _, t in tensors],
    }


def test_inside_everything_is_in_evaluation_mode_and_frozen():
    network = mixed_network()
    with evaluation_mode(network) as lent:
        assert lent is network
        assert not any(module.training for module in network.modules())
        assert not any(tensor.requires_grad for tensor in network.parameters())
        assert not network.scale.requires_grad


def test_afterwards_everything_is_as_it_was():
    network = mixed_network()
    before = state(network)
    with evaluation_mode(network):
        network(torch.randn(3, 4))
    assert state(network) == before


def test_also_after_an_exception():
    network = mixed_network()
    before = state(network)
    with pytest.raises(KeyboardInterrupt, match="stop"), evaluation_mode(network):
        raise KeyboardInterrupt("stop")
    assert state(network) == before


def test_gradients_made_inside_do_not_stay():
    network = mixed_network()
    before = state(network)
    with evaluation_mode(network):
        for parameter in network.parameters():
            parameter.requires_grad_(True)
            parameter.grad = torch.zeros_like(parameter)
        network.train()
    assert state(network) == before


def test_blocks_may_be_nested():
    network = mixed_network()
    before = state(network)
    with evaluation_mode(network):
        with evaluation_mode(network):
            pass
        assert not any(module.training for module in network.modules())
        assert not any(tensor.requires_grad for tensor in network.parameters())
    assert state(network) == before


def test_an_overridden_train_is_not_called():
    class Merging(nn.Linear):
        def train(self, mode=True):
            with torch.no_grad():
                self.weight.add_(1.0)
            return super().train(mode)

    network = nn.Sequential(Merging(2, 2))
    before = state(network)
    with evaluation_mode(network):
        pass
    assert state(network) == before


def test_it_works_around_inference():
    network = mixed_network()
    before = state(network)
    with torch.inference_mode(), evaluation_mode(network):
        network(torch.randn(3, 4))
    assert state(network) == before
