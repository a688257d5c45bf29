"""Freezing that freezes: bit for bit, whatever the optimiser, the loop and the averages do."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import hormesis as hm
from hormesis.errors import ModelError, TrainingError
from hormesis.training.freezing import Freezing
from hormesis.training.retraining_plan import plan_retraining
from hormesis.training.trainable_masks import TrainableMask
from retrained import data, network, study, upper

OPTIMIZERS = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    "Adam": {"lr": 0.01, "weight_decay": 0.1},
    "AdamW": {"lr": 0.01, "weight_decay": 0.5, "amsgrad": True},
    "RMSprop": {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.1},
    "Adagrad": {"lr": 0.01},
    "NAdam": {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True},
    "Rprop": {"lr": 0.01},
}


def loop(model, optimizer, steps=6):
    """A training loop that knows nothing of freezing."""
    inputs, labels = data()
    for step in range(steps):
        model.train()
        optimizer.zero_grad()
        rows = slice(8 * (step % 4), 8 * (step % 4) + 8)
        cross_entropy(model(inputs[rows]), labels[rows]).backward()
        optimizer.step()
    return model.eval()


def bits(model):
    return {
        name: value.detach().clone().contiguous().view(-1).view(torch.uint8)
        for name, value in model.state_dict().items()
    }


def changed(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("per", ["tensor", "channel"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_optimizer_moves_what_is_frozen(name, per):
    model, of = network(), study(per)
    frozen = hm.freeze(model, of, upper(of))
    before = bits(model)
    optimizer = getattr(torch.optim, name)(frozen.parameters, **OPTIMIZERS[name])
    frozen.follow(optimizer)
    loop(model, optimizer)
    assert frozen.check() == frozen.frozen_values > 0
    after = bits(model)
    moved = {share.parameter for share in frozen.masks if share.trained}
    assert moved <= changed(before, after)
    still = {share.parameter for share in frozen.masks if not share.trained}
    assert not still & changed(before, after)
    for share in frozen.masks:
        if share.is_partial:
            now, then = model.state_dict()[share.parameter], network().state_dict()[share.parameter]
            on = torch.tensor(share.channels)
            assert torch.equal(now[~on], then[~on])
            assert not torch.equal(now[on], then[on])


def test_optimizer_state_exists_for_trained_parameters_only():
    model, of = network(), study("channel")
    frozen = hm.freeze(model, of, upper(of))
    optimizer = torch.optim.Adam(model.parameters())  # also where it is given everything
    frozen.follow(optimizer)
    loop(model, optimizer)
    trained = {share.parameter: share for share in frozen.masks if share.trained}
    named = {id(value): name for name, value in model.named_parameters()}
    assert {named[id(value)] for value in optimizer.state} == set(trained)
    for value, state in optimizer.state.items():
        on = torch.tensor(trained[named[id(value)]].channels)
        if not all(on):
            assert not state["exp_avg"][~on].any()
            assert not state["exp_avg_sq"][~on].any()


@pytest.mark.parametrize(("batchnorm", "moves"), [("frozen", {"4"}), ("follow", {"1", "4"})])
def test_the_statistics_of_batch_norms(batchnorm, moves):
    model = network()
    shares = [
        TrainableMask(name, "x", value.numel(), (name[0] in "34",), "", name[0] in "34")
        for name, value in model.named_parameters()
    ]
    freezing = Freezing(model, shares, batchnorm=batchnorm)
    freezing.start()
    before = bits(model)
    loop(model, torch.optim.SGD(freezing.parameters, lr=0.1))
    stats = {name for name in changed(before, bits(model)) if "running" in name}
    assert stats == {f"{n}.running_{leaf}" for n in moves for leaf in ("mean", "var")}
    freezing.check()


def test_a_frozen_batch_norm_normalises_by_its_statistics_while_others_train():
    model, of = network(), study()
    frozen = hm.freeze(model, of, upper(of))
    assert frozen.statistics
    model.train()
    model(data()[0])
    modes = {name: part.training for name, part in model.named_modules()}
    assert not any(modes[name] for name in frozen.statistics)
    assert modes["7"]
    frozen.stop()
    model.train()
    model(data()[0])
    assert all(part.training for part in model.modules())


def test_a_value_that_something_else_moves_is_an_error_that_names_it():
    model, of = network(), study()
    frozen = hm.freeze(model, of, upper(of))
    share = next(share for share in frozen.masks if not share.trained)
    value = dict(model.named_parameters())[share.parameter]
    with torch.no_grad():
        value.view(-1)[0] = torch.nextafter(value.view(-1)[0], torch.tensor(9.0))
    with pytest.raises(TrainingError, match=f"Frozen values have changed in {share.parameter}"):
        frozen.check()


def test_a_negative_zero_is_another_bit():
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
    shares = [
        TrainableMask("0.weight", "linear", 1, (False,), ""),
        TrainableMask("1.weight", "linear", 1, (True,), ""),
    ]
    first = model.get_parameter("0.weight")
    first.data.zero_()
    freezing = Freezing(model, shares, batchnorm="frozen")
    freezing.start()
    first.data.neg_()
    assert freezing.changed_tensors() == ["0.weight"]


def test_averages_keep_what_they_average():
    """What PyTorch's own averaging makes of equal values is equal, EMA by lerp included."""
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    model, of = network(), study()
    frozen = hm.freeze(model, of, upper(of))
    averages = [AveragedModel(model), AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))]
    optimizer = torch.optim.AdamW(frozen.parameters, weight_decay=0.1)
    frozen.follow(optimizer)
    for _ in range(5):
        loop(model, optimizer, steps=1)
        for average in averages:
            average.update_parameters(model)
    still = {share.parameter for share in frozen.masks if not share.trained}
    start = dict(network().named_parameters())
    for average in averages:
        for name, value in average.module.named_parameters():
            if name in still:
                assert torch.equal(value, start[name])


def test_gradients_can_be_accumulated_and_clipped():
    model, of = network(), study("channel")
    frozen = hm.freeze(model, of, upper(of))
    inputs, labels = data()
    model.train()
    for rows in (slice(0, 8), slice(8, 16)):
        cross_entropy(model(inputs[rows]), labels[rows]).backward()
    for share in frozen.masks:
        gradient = dict(model.named_parameters())[share.parameter].grad
        if not share.trained:
            assert gradient is None
        elif share.is_partial:
            assert gradient is not None
            assert not gradient[~torch.tensor(share.channels)].any()


def test_what_asked_for_a_gradient_does_so_again():
    model, of = network(), study()
    model.get_parameter("0.bias").requires_grad_(False)  # frozen by its user
    frozen = hm.freeze(model, of, upper(of))
    frozen.stop()
    asked = {name: value.requires_grad for name, value in model.named_parameters()}
    assert not asked.pop("0.bias")
    assert all(asked.values())
    assert not model._forward_pre_hooks


def test_normalisation_around_the_network_changes_no_name():
    model = hm.normalized(network(), (0.5,), (0.5,))
    of = hm.analyze(
        model,
        data(12, 1),
        attack=hm.FGSM(0.05),
        sweep=hm.Sweep(thresholds=3),
        execution=hm.Execution(engine="plain", progress=False),
    )
    frozen = hm.freeze(model, of, upper(of))
    optimizer = torch.optim.SGD(frozen.parameters, lr=0.1, weight_decay=0.1)
    frozen.follow(optimizer)
    loop(model, optimizer)
    assert frozen.check()


def test_another_network_is_refused():
    selection = upper(study())
    with pytest.raises(ModelError, match=r"of another network than the one given .*same=False"):
        hm.freeze(network(1), study(), selection)
    assert hm.freeze(network(1), study(), selection, same=False).check()
    with pytest.raises(
        ModelError, match=r"another network: it has 36 values in 0.weight, and this"
    ):
        hm.freeze(nn.Linear(2, 2), study(), selection, same=False)
    longer = nn.Sequential(*network(), nn.Linear(3, 3))
    with pytest.raises(ModelError, match=r"does not know the parameter 8\.bias"):
        hm.freeze(longer, study(), selection, same=False)


def test_a_transposed_convolution_is_frozen_along_its_output_channels():
    model = nn.Sequential(nn.ConvTranspose2d(2, 3, 1), nn.Flatten(), nn.Linear(3, 2))
    shares = [
        TrainableMask("0.weight", "convolution", 6, (True, False, True), ""),
        TrainableMask("0.bias", "bias", 3, (True, False, True), ""),
        TrainableMask("2.weight", "linear", 6, (False,), ""),
        TrainableMask("2.bias", "bias", 2, (False,), ""),
    ]
    freezing = Freezing(model, shares, batchnorm="frozen")
    weight = model.get_parameter("0.weight")
    start = weight.detach().clone()
    freezing.start()
    optimizer = torch.optim.SGD(freezing.parameters, lr=0.1, weight_decay=0.1)
    freezing.follow(optimizer)
    model(torch.rand(4, 2, 1, 1)).sum().backward()
    optimizer.step()
    assert torch.equal(weight[:, 1], start[:, 1])
    assert not torch.equal(weight[:, 0], start[:, 0])


def test_a_case_is_opened_without_a_network():
    case = plan_retraining(study(), upper(study()))
    assert case.chosen
