import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from hormesis.settings.attacks import PGD
from hormesis.stress.attacks import perturb
from hormesis.stress.cancellation import halting, step


class EnoughError(Exception):
    pass


def raise_at(number):
    """A check that raises when it is called for the ``number``-th time."""
    calls = []

    def check():
        calls.append(None)
        if len(calls) >= number:
            raise EnoughError

    return check, calls


def test_nothing_is_asked_outside_and_nesting_is_undone():
    check, calls = raise_at(3)
    step()
    with halting(check):
        step()
        with halting(lambda: None):
            step()
        step()
    step()
    assert len(calls) == 2


def test_another_thread_is_not_asked():
    check, calls = raise_at(1)
    with halting(check), ThreadPoolExecutor(1) as pool:
        pool.submit(step).result()
        assert threading.active_count() > 1
    assert calls == []


def test_an_attack_ends_between_two_of_its_steps_and_leaves_the_network_as_it_was():
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    check, calls = raise_at(5)
    inputs, labels = torch.full((3, 1, 2, 2), 0.5), torch.tensor([0, 1, 0])
    with pytest.raises(EnoughError), halting(check):
        perturb(network, inputs, labels, PGD(0.1, steps=40), bounds=(0.0, 1.0), seed=0)
    assert len(calls) == 5
    assert network.training
    assert all(p.requires_grad and p.grad is None for p in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
