"""Networks of any inputs and outputs, measured by any metric, against plain loops."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import hormesis as hm
from hormesis.data.bounds import as_bounds
from hormesis.errors import AttackError, DataError, SettingError
from hormesis.models.adapter import adapt
from hormesis.stress.attacks import perturb

QUIET = hm.Execution(progress=False)
SWEEP = hm.Sweep(thresholds=4)
COUNT = 48


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(4, 6), nn.Linear(3, 6), nn.Linear(6, 2)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.first(left) + self.second(right)))


class OneDictionary(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = TwoInputs()

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.inner(batch["left"], batch["right"])


class Tokens(nn.Module):
    """Scores every token from itself and a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.mix = nn.Embedding(11, 8), nn.Linear(8, 8)
        self.head = nn.Linear(8, 11, bias=False)

    def forward(self, *, ids: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor | None]:
        hidden = self.embedding(ids) * mask[..., None]
        hidden = torch.relu(self.mix(hidden)) + hidden.cumsum(dim=1)
        return {"logits": self.head(hidden), "hidden": hidden, "loss": None}


class Several(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(5, 6), nn.Linear(6, 3)

    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = torch.relu(self.body(rows))
        return features, self.head(features)


def seeded_network(kind: type[nn.Module], *args: object) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return kind(*args)


LEFT, RIGHT = torch.rand(COUNT, 4, generator=seeded()), torch.rand(COUNT, 3, generator=seeded(1))
CLASSES = torch.randint(2, (COUNT,), generator=seeded(2))
IDS = torch.randint(11, (COUNT, 7), generator=seeded(4))
MASK = (torch.rand(COUNT, 7, generator=seeded(5)) > 0.2).float()
ROWS = torch.rand(COUNT, 5, generator=seeded(6))


def both_engines(network: nn.Module, data: object, **options: object) -> hm.Study:
    """Measure by both engines, and return the study of the fast one."""
    settings = {"sweep": SWEEP, "confirmation": hm.Confirmation("never"), **options}
    fast, plain = (
        hm.analyze(network, data, execution=replace(QUIET, engine=engine), **settings)
        for engine in ("auto", "plain")
    )
    assert fast.manifest["run"]["engine"] == "suffix"
    for one, other in zip(fast.blocks(), plain.blocks(), strict=True):
        np.testing.assert_allclose(one.clean, other.clean, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(one.adversarial, other.adversarial, rtol=1e-4, atol=1e-5)
    return fast


def check_cells(study: hm.Study, network: nn.Module, score) -> None:
    """Compare clean responses of some cells with a network whose weights were zeroed by hand."""
    cells = study.responses
    cells = cells.loc[(cells["filter"] == "high_pass") & (cells["step"] == 1)]
    parameters = dict(network.named_parameters())
    assert len(cells) > 1
    for cell in cells.to_dict("records"):
        weight = parameters[cell["target"]]
        before = weight.detach().clone()
        with torch.no_grad():
            weight.copy_(torch.where(before > cell["alpha"], before, 0.0))
            expected = score(network).double().mean().item()
            weight.copy_(before)
        assert cell["clean"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        (TwoInputs, (LEFT, RIGHT)),
        (TwoInputs, {"right": RIGHT, "left": LEFT}),
        (OneDictionary, {"left": LEFT, "right": RIGHT}),
    ],
)
def test_several_inputs_by_place_and_by_name(kind, inputs):
    network = seeded_network(kind)
    study = both_engines(network, (inputs, CLASSES), attack=hm.FGSM(0.1))

    def right(net: nn.Module) -> torch.Tensor:
        inner = net.inner if isinstance(net, OneDictionary) else net
        logits = inner(LEFT, RIGHT)
        return (logits.argmax(dim=1) == CLASSES).float()

    check_cells(study, network, right)
    assert study.metadata.question.data.shape == [7]


def test_tokens_with_a_mask_stay_integers():
    network = seeded_network(Tokens)
    labels = IDS.clone()
    labels[MASK == 0] = -100
    data = ({"ids": IDS, "mask": MASK}, labels)
    study = both_engines(network, data, attack=None, metric="token_nll")

    def by_hand(net: nn.Module) -> torch.Tensor:
        logs = net(ids=IDS, mask=MASK)["logits"].log_softmax(dim=-1)
        scores = []
        for row, truth in zip(logs, labels, strict=True):
            kept = [-row[at, token] for at, token in enumerate(truth.tolist()) if token != -100]
            scores.append(torch.stack(kept).mean() if kept else torch.zeros(()))
        return torch.stack(scores)

    check_cells(study, network, by_hand)
    perplexity = both_engines(network, data, attack=None, metric="perplexity")
    assert perplexity.base.clean > 1


@pytest.mark.parametrize(
    ("output", "shape"),
    [(1, 3), (0, 6), (lambda outputs: outputs[0] * 2, 6), (-1, 3)],
    ids=["place", "other", "function", "last"],
)
def test_an_output_is_chosen(output, shape):
    network = seeded_network(Several)
    seen = []

    def spread(outputs: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        seen.append(outputs.shape[1])
        return outputs.std(dim=1)

    both_engines(network, (ROWS, None), attack=None, metric=spread, output=output)
    assert set(seen) == {shape}


def test_a_first_output_of_several_is_said():
    network = seeded_network(Several)
    options: dict[str, Any] = {"attack": None, "metric": lambda out, _: out.mean(dim=1)}
    data = (ROWS, None)
    unsaid = hm.analyze(network, data, sweep=SWEEP, execution=QUIET, **options)
    assert any("The network returns 2 outputs, of which the first" in one for one in unsaid.notes)
    chosen = hm.analyze(network, data, sweep=SWEEP, execution=QUIET, output=0, **options)
    assert not any("outputs" in one for one in chosen.notes)
    assert chosen.responses["clean"].equals(unsaid.responses["clean"])


def test_integers_alone_cannot_be_attacked():
    network = seeded_network(Tokens)
    with pytest.raises(AttackError, match="got integers alone: measure without an attack"):
        hm.analyze(network, ({"ids": IDS, "mask": MASK.long()}, IDS), metric="token_nll")


def test_a_metric_takes_all_outputs_as_they_were():
    network = seeded_network(Tokens)

    def both(outputs: dict[str, torch.Tensor], labels: None) -> torch.Tensor:
        assert set(outputs) == {"logits", "hidden", "loss"}
        return outputs["hidden"].mean(dim=(1, 2)) + outputs["logits"].amax(dim=(1, 2))

    data = ({"ids": IDS, "mask": MASK}, None)
    study = both_engines(network, data, attack=None, metric=both, output="*")
    out = network(ids=IDS, mask=MASK)
    assert study.base.clean == pytest.approx(both(out, None).mean().item(), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_networks_of_other_types(dtype):
    network = seeded_network(nn.Linear, 5, 3).to(dtype)
    labels = torch.randint(3, (COUNT,), generator=seeded())
    sweep = replace(SWEEP, filters=("low_pass",))
    studies = [
        hm.analyze(
            network,
            (ROWS, labels),
            attack=hm.FGSM(0.1),
            sweep=sweep,
            execution=replace(QUIET, engine=engine),
        )
        for engine in ("auto", "plain")
    ]
    for one, other in zip(*(study.blocks() for study in studies), strict=True):
        assert np.array_equal(one.clean, other.clean)
        assert np.array_equal(one.adversarial, other.adversarial)
    right = network(ROWS.to(dtype)).argmax(dim=1) == labels
    assert studies[0].base.clean == pytest.approx(float(right.double().mean()))


def test_an_attack_raises_the_loss_of_the_metric():
    network = seeded_network(nn.Linear, 5, 1)
    values = torch.rand(COUNT, generator=seeded(8))
    study = both_engines(network, (ROWS, values), attack=hm.FGSM(0.05), metric="mse")
    rows = ROWS.clone().requires_grad_()
    loss = (network(rows)[:, 0] - values).square().sum()
    (gradient,) = torch.autograd.grad(loss, rows)
    attacked = (ROWS + 0.05 * gradient.sign()).clamp(0, 1)
    expected = (network(attacked)[:, 0] - values).square().mean()
    assert study.base.adversarial == pytest.approx(expected.item(), rel=1e-5)
    assert study.base.adversarial > study.base.clean
    assert study.manifest["question"]["attack"]["loss"] == "mse"


def test_the_users_own_loss_is_raised():
    network = seeded_network(nn.Linear, 5, 3)
    labels = torch.randint(3, (COUNT,), generator=seeded())

    def lower_first(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return -outputs[:, 0]

    study = hm.analyze(
        network,
        (ROWS, labels),
        attack=hm.FGSM(0.05),
        loss=lower_first,
        metric=lambda outputs, labels: outputs[:, 0],
        sweep=SWEEP,
        execution=QUIET,
    )
    weight = network.weight.detach()[0]
    attacked = (ROWS - 0.05 * weight.sign()).clamp(0, 1)
    assert study.base.adversarial == pytest.approx(network(attacked)[:, 0].mean().item(), rel=1e-5)


def test_every_input_has_its_own_bounds():
    network = seeded_network(TwoInputs)
    inputs = {"left": 10 * LEFT, "right": RIGHT}
    limits = as_bounds({"left": (0, 10), "right": (np.zeros(3), np.array([1.0, 1.0, 1.5]))}, inputs)
    adapted = adapt(network, inputs)
    moved = perturb(adapted, inputs, CLASSES, hm.FGSM(0.5), bounds=limits, seed=0)
    assert moved["left"].min() >= 0
    assert moved["left"].max() <= 10
    assert (moved["right"].amax(dim=0) <= torch.tensor([1.0, 1.0, 1.5])).all()
    assert (moved["left"] - inputs["left"]).abs().amax() == pytest.approx(0.5, abs=1e-5)


def test_sensitivity_compares_with_the_unfiltered_network():
    network = seeded_network(nn.Linear, 5, 3)
    study = both_engines(network, ROWS, attack=hm.FGSM(0.1), metric="cosine")
    assert study.base.clean == pytest.approx(1.0)
    assert study.base.adversarial < 1
    reference = network(ROWS).detach()

    def cosine(net: nn.Module) -> torch.Tensor:
        out = net(ROWS)
        return (out * reference).sum(1) / (out.norm(dim=1) * reference.norm(dim=1))

    cells = study.responses
    cell = cells.loc[(cells["filter"] == "high_pass") & (cells["step"] == 1)].iloc[0]
    before = network.weight.detach().clone()
    with torch.no_grad():
        network.weight.copy_(torch.where(before > cell["alpha"], before, 0.0))
        assert cell["clean"] == pytest.approx(cosine(network).mean().item(), rel=1e-4)
        network.weight.copy_(before)


# Evaluations: one number a sample, however it comes about.


def counting(network: nn.Module, numbers: list[int], stressed: bool) -> torch.Tensor:
    rows = ROWS[numbers]
    return network(rows.flip(1) if stressed else rows).argmax(dim=1).float()


def test_an_evaluation_gives_the_outcomes_of_the_same_metric():
    network = seeded_network(nn.Linear, 5, 3)
    labels = torch.randint(3, (COUNT,), generator=seeded())

    def right(net: nn.Module, numbers: list[int], stressed: bool) -> list[float]:
        return (net(ROWS[numbers]).argmax(dim=1) == labels[numbers]).float().tolist()

    evaluation = hm.Evaluation(right, samples=COUNT, binary=True)
    sweep = replace(SWEEP, control=2)
    one = hm.analyze(network, evaluation, sweep=sweep, execution=QUIET)
    other = hm.analyze(network, (ROWS, labels), attack=None, sweep=sweep, execution=QUIET)
    assert one.manifest["run"]["engine"] == "evaluation"
    assert one.base.clean == other.base.clean
    clean = other.responses.set_index(["target", "filter", "step"])["clean"]
    assert one.responses.set_index(["target", "filter", "step"])["clean"].equals(clean)
    assert one.scores["score"].unique().tolist() == ["clean"]


def test_a_stressed_evaluation_has_all_scores():
    network = seeded_network(nn.Linear, 5, 3)
    evaluation = hm.Evaluation(counting, samples=COUNT, stressed=True)
    study = hm.analyze(network, evaluation, sweep=SWEEP, execution=QUIET)
    assert study.base.adversarial == float(counting(network, list(range(COUNT)), True).mean())
    assert set(study.scores["score"]) == {"clean", "adversarial", "difference"}


def test_an_evaluation_is_resumed(tmp_path):
    network, calls = seeded_network(nn.Linear, 5, 3), []

    rows = ROWS.repeat(6, 1)[:256]

    def wide(net: nn.Module, numbers: list[int], stressed: bool) -> torch.Tensor:
        return net(rows[numbers]).argmax(dim=1).float()

    def limited(net: nn.Module, numbers: list[int], stressed: bool) -> torch.Tensor:
        calls.append(len(numbers))
        if len(calls) == 40:
            raise RuntimeError("power cut")
        return wide(net, numbers, stressed)

    evaluation = hm.Evaluation(limited, samples=256, name="wide")
    options = {"sweep": SWEEP, "execution": QUIET, "out": tmp_path / "study"}
    with pytest.raises(DataError, match="The evaluation 'wide' failed on 32 samples from number"):
        hm.analyze(network, evaluation, **options)
    before = len(calls)
    study = hm.analyze(network, evaluation, **options)
    whole = hm.analyze(network, hm.Evaluation(wide, samples=256), sweep=SWEEP, execution=QUIET)
    assert study.responses["clean"].equals(whole.responses["clean"])
    assert study.finished
    assert before > 30


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda net, numbers, stressed: [1.0],
            r"one number a sample, shape \[3\], got shape \[1\]",
        ),
        (
            lambda net, numbers, stressed: torch.rand(len(numbers)),
            "two numbers to one sample: seed",
        ),
        (lambda net, numbers, stressed: 1 / 0, "failed on 3 samples .* ZeroDivisionError"),
        (lambda net, numbers, stressed: ["a"] * len(numbers), "failed on 3 samples .* ValueError"),
    ],
    ids=["shape", "random", "error", "text"],
)
def test_evaluations_that_cannot_be_used_are_refused(function, message):
    with pytest.raises(DataError, match=message):
        hm.analyze(nn.Linear(1, 1), hm.Evaluation(function, samples=10), execution=QUIET)


def test_an_evaluation_stands_for_metric_and_attack():
    evaluation = hm.Evaluation(counting, samples=COUNT)
    network = seeded_network(nn.Linear, 5, 3)
    with pytest.raises(SettingError, match="no `metric` and no `attack`"):
        hm.analyze(network, evaluation, metric="mse")
    with pytest.raises(SettingError, match="no `metric` and no `attack`"):
        hm.analyze(network, evaluation, attack=hm.PGD(0.1))
    with pytest.raises(SettingError, match="Expected `samples` to be at least 2, got 1"):
        hm.Evaluation(counting, samples=1)
