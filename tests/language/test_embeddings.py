"""Attacks on the embeddings of tokens, against loops by hand through ``inputs_embeds``."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    T5Config,
    T5ForConditionalGeneration,
)

import hormesis as hm
from hormesis.data.bounds import UNBOUNDED
from hormesis.data.embedded import EMBEDDING_PERTURBATION, with_perturbation
from hormesis.data.samples import Samples, take
from hormesis.engine import adaptive
from hormesis.errors import AttackError, ModelError, SettingError
from hormesis.language.embeddings import perturbed_embeddings, unit_note
from hormesis.models.adapter import adapt, outputs_of
from hormesis.models.embedding_perturbation import Lookup
from hormesis.report.views.method_text import epsilon_text
from hormesis.stress.attacks import perturb
from hormesis.stress.attempt import random_starts
from hormesis.stress.losses import as_loss

COUNT, TOKENS, WORDS, SIZE = 24, 7, 30, 16
QUIET = hm.Execution(progress=False, num_workers=1)
PLAIN = replace(QUIET, engine="plain")  # exporting a network takes seconds
NEVER = hm.Confirmation("never")
GENERATOR = torch.Generator().manual_seed(5)
IDS = torch.randint(1, WORDS, (COUNT, TOKENS), generator=GENERATOR)
MASK = torch.ones_like(IDS)
MASK[:8, 4:] = 0
BATCH = {"input_ids": IDS.masked_fill(MASK == 0, 0), "attention_mask": MASK}
NEXT = BATCH["input_ids"].masked_fill(MASK == 0, -100)


def bert() -> Any:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"num_labels": 3}
    config = BertConfig(
        vocab_size=WORDS,
        hidden_size=SIZE,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
        initializer_range=0.3,
        **sizes,
    )
    return BertForSequenceClassification(config).eval()


def gpt2() -> Any:
    torch.manual_seed(0)
    special: dict[str, Any] = {"bos_token_id": 0, "eos_token_id": 0}
    config = GPT2Config(
        vocab_size=WORDS, n_positions=8, n_embd=SIZE, n_layer=1, n_head=2, **special
    )
    return GPT2LMHeadModel(config).eval()


def t5() -> Any:
    torch.manual_seed(0)
    special: dict[str, Any] = {"decoder_start_token_id": 0}
    config = T5Config(
        vocab_size=WORDS, d_model=SIZE, d_kv=8, d_ff=24, num_layers=1, num_heads=2,
        **special,
    )  # fmt: skip
    return T5ForConditionalGeneration(config).eval()


class Pooled(nn.Module):
    """Takes ids alone."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(WORDS, SIZE), nn.Linear(SIZE, 3, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(torch.tanh(self.words(ids)).mean(dim=1))


def pooled() -> Pooled:
    torch.manual_seed(0)
    return Pooled().eval()


def own_answers(network: nn.Module, batch: Any) -> Tensor:
    with torch.no_grad():
        return outputs_of(adapt(network, batch), batch).argmax(1)


def scale_of(network: Any) -> float:
    """Return the root mean square of an embedding, number by number, to four digits."""
    values = network.get_input_embeddings().weight.detach().double().flatten().tolist()
    return float(f"{math.sqrt(math.fsum(one * one for one in values) / len(values)):.4g}")


def cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(logits, labels, reduction="none")


def next_token_losses(logits: Tensor, labels: Tensor) -> Tensor:
    losses = functional.cross_entropy(
        logits[:, :-1].transpose(1, 2), labels[:, 1:], reduction="none"
    )
    return losses.sum(dim=1) / (labels[:, 1:] != -100).sum(dim=1)


def attack_by_hand(
    network: Any, labels: Tensor, losses: Any, attack: hm.FGSM | hm.PGD, starts: Tensor
) -> Tensor:
    """Return what is added to the embeddings, from a loop over steps and samples."""
    steps = getattr(attack, "steps", 1)
    length = float(getattr(attack, "step_size", 1.0))
    budgets = []
    for tokens in MASK.sum(dim=1).tolist():
        whole = math.sqrt(tokens * SIZE) if attack.norm == "l2" else 1.0
        budgets.append(float(attack.epsilon) * scale_of(network) * whole)
    vectors = network.get_input_embeddings().weight[BATCH["input_ids"]].detach()
    changes = [start * budget for start, budget in zip(starts, budgets, strict=True)]
    for _ in range(steps):
        moved = (vectors + torch.stack(changes)).requires_grad_()
        logits = network(inputs_embeds=moved, attention_mask=MASK).logits
        (gradients,) = torch.autograd.grad(losses(logits, labels).sum(), moved)
        for number, (gradient, budget) in enumerate(zip(gradients, budgets, strict=True)):
            gradient = gradient * MASK[number][:, None]
            if attack.norm == "linf":
                change = changes[number] + length * budget * gradient.sign()
                changes[number] = change.clamp(-budget, budget)
            else:
                change = changes[number] + length * budget * gradient / gradient.norm()
                changes[number] = change * min(1.0, budget / change.norm().item())
    return torch.stack(changes)


def attacked(network: nn.Module, labels: Tensor, attack: Any, loss: str) -> tuple[Any, Any]:
    """Return a network whose embeddings can be perturbed, and its perturbed inputs."""
    perturbable = perturbed_embeddings(network, BATCH, norm=attack.norm)
    clean = with_perturbation(BATCH, SIZE)
    inputs = perturb(
        perturbable, clean, labels, attack,
        bounds=UNBOUNDED, seed=3, loss=as_loss(loss),
    )  # fmt: skip
    return perturbable, inputs


ATTACKS = [
    hm.FGSM(0.2),
    hm.FGSM(0.2, norm="l2"),
    hm.PGD(0.2, steps=4, random_start=False),
    hm.PGD(0.2, steps=4),
    hm.PGD(0.2, steps=4, norm="l2", random_start=False),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=repr)
@pytest.mark.parametrize("of", ["bert", "gpt2"])
def test_attacks_are_those_of_a_loop_by_hand(of, attack):
    network, labels = (bert(), None) if of == "bert" else (gpt2(), NEXT)
    labels = own_answers(network, BATCH) if labels is None else labels
    loss, losses = {
        "bert": ("cross_entropy", cross_entropies),
        "gpt2": ("next_token_cross_entropy", next_token_losses),
    }[of]
    starts = torch.zeros(COUNT, TOKENS, SIZE)
    if getattr(attack, "random_start", False):
        drawn = random_starts(torch.zeros(COUNT, TOKENS * SIZE), seed=3)
        starts = drawn.reshape(starts.shape) * MASK[..., None]
    perturbable, inputs = attacked(network, labels, attack, loss)
    expected = attack_by_hand(network, labels, losses, attack, starts)
    found = perturbable.perturbation.scaled(inputs).detach()
    assert expected.abs().max() > 0.01 * scale_of(network)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    # And the network sees just that.
    vectors = network.get_input_embeddings().weight[BATCH["input_ids"]]
    seen = network(inputs_embeds=vectors + expected, attention_mask=MASK).logits
    torch.testing.assert_close(perturbable(inputs), seen, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [bert, gpt2, pooled], ids=lambda make: make.__name__)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_without_a_perturbation_nothing_changes(make, dtype):
    network = make().to(dtype)
    batch = IDS if make is pooled else BATCH
    hooks = [len(module._forward_hooks) for module in network.modules()]
    perturbable = perturbed_embeddings(network, batch)
    clean = with_perturbation(batch, SIZE)
    with torch.no_grad():
        plain = outputs_of(adapt(network, batch), batch)
        assert torch.equal(perturbable(clean), plain)
        moved = {**clean, EMBEDDING_PERTURBATION: torch.ones(COUNT, TOKENS, SIZE)}
        assert not torch.equal(perturbable(moved), plain)
    assert [len(module._forward_hooks) for module in network.modules()] == hooks


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_padding_is_never_perturbed(norm):
    network = bert()
    attack = hm.PGD(0.5, steps=1, step_size=1e-4, norm=norm)
    perturbable, inputs = attacked(network, own_answers(network, BATCH), attack, "cross_entropy")
    found = inputs[EMBEDDING_PERTURBATION]
    assert (found[MASK == 0] == 0).all()
    assert (found[MASK == 1] != 0).all()
    if norm == "l2":  # nearly all of so many dimensions lies at the border, padded or not
        assert (found.flatten(1).norm(dim=1) > 0.9 * 0.5).all()
        added = perturbable.perturbation.scaled(inputs).flatten(1).norm(dim=1)
        most = 0.5 * scale_of(network) * (MASK.sum(dim=1) * SIZE).sqrt()
        assert (added <= most * 1.00001).all()


class Shared(nn.Module):
    """An encoder and a decoder that look up their tokens in one embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(WORDS, SIZE), nn.Linear(SIZE, WORDS)

    def forward(self, input_ids: Tensor, decoder_input_ids: Tensor) -> Tensor:
        context = self.words(input_ids).tanh().mean(dim=1, keepdim=True)
        return self.head(self.words(decoder_input_ids) + context)


def test_only_the_encoder_of_two_that_share_an_embedding_is_perturbed():
    batch, other = {"input_ids": IDS}, IDS.flip(1)
    change = 0.3 * torch.randn(COUNT, TOKENS, SIZE, generator=GENERATOR)
    torch.manual_seed(0)
    network = Shared()
    perturbable = perturbed_embeddings(network, {**batch, "decoder_input_ids": other})
    perturbation = perturbable.perturbation
    assert perturbation is not None
    assert perturbation.lookup == Lookup("words", run=0, runs=2)
    assert "in run 1 of 2" in unit_note(perturbation)
    table = network.words.weight
    context = (table[IDS] + change * perturbation.scale).tanh().mean(dim=1, keepdim=True)
    expected = network.head(table[other] + context)
    found = perturbable({**batch, "decoder_input_ids": other, EMBEDDING_PERTURBATION: change})
    torch.testing.assert_close(found, expected)


def test_the_encoder_of_t5_is_perturbed():
    network, decoded = t5(), {"decoder_input_ids": IDS[:, :3]}
    perturbable = perturbed_embeddings(network, {**BATCH, **decoded})
    change = 0.3 * torch.randn(COUNT, TOKENS, SIZE, generator=GENERATOR)
    with torch.no_grad():
        found = perturbable({**BATCH, **decoded, EMBEDDING_PERTURBATION: change})
        vectors = network.shared.weight[BATCH["input_ids"]]
        vectors = vectors + change * scale_of(network) * MASK[..., None]
        expected = network(inputs_embeds=vectors, attention_mask=MASK, **decoded).logits
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


SWEEP = hm.Sweep(thresholds=3)
LAYERS = hm.Targets(("*word_embeddings*", "*query.weight"))


CASES = [("fixed", hm.FGSM(0.4)), ("adaptive", hm.PGD(0.3, steps=2, norm="l2"))]


@pytest.mark.parametrize(("adversary", "attack"), CASES, ids=["fixed", "adaptive"])
def test_both_engines_measure_the_same(adversary, attack, monkeypatch):
    through_program, anew = [], adaptive.measure
    monkeypatch.setattr(
        adaptive, "measure", lambda *given: through_program.append(1) or anew(*given)
    )
    network = bert()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    sweep = replace(SWEEP, adversary=adversary)
    options: dict[str, Any] = {
        "attack": attack, "targets": LAYERS, "sweep": sweep, "confirmation": NEVER,
    }  # fmt: skip
    data = (BATCH, own_answers(network, BATCH))
    fast = hm.analyze(network, data, **options, execution=QUIET)
    plain = hm.analyze(network, data, **options, execution=PLAIN)
    assert fast.manifest["run"]["engine"] == "suffix"
    assert bool(through_program) == (adversary == "adaptive")
    assert fast.responses.equals(plain.responses)
    assert fast.base.adversarial < fast.base.clean == 1.0
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    names = {name for name, _ in network.named_parameters()}
    assert set(fast.scores["target"]) <= names
    assert "bert.embeddings.word_embeddings.weight" in set(fast.scores["target"])
    assert fast.manifest["base"]["zero_gradient"] == fast.manifest["base"]["unmoved"] == 0
    embedding = fast.manifest["question"]["network"]["embedding"]
    assert embedding == {
        "module": "bert.embeddings.word_embeddings", "scale": scale_of(network)
    }  # fmt: skip
    assert "Epsilon is a share of" in fast.notes[0]
    changed = {"attack": None, "sweep": SWEEP}
    clean = hm.analyze(network, data, **options | changed, execution=PLAIN)
    assert clean.responses["clean"].equals(fast.responses["clean"])
    identity = [one.manifest["question"]["network"]["fingerprint"] for one in (clean, fast)]
    assert identity[0] == identity[1]


def test_a_study_at_each_magnitude_goes_on_and_is_verified(tmp_path, capsys):
    from hormesis.cli.app import main

    network = gpt2()
    options: dict[str, Any] = {
        "metric": "next_token_nll", "targets": hm.Targets(("*c_attn.weight",)), "sweep": SWEEP,
        "execution": PLAIN, "confirmation": NEVER,
    }  # fmt: skip
    data = (BATCH, NEXT)
    series = hm.analyze_epsilons(network, data, [0.1, 0.4], out=tmp_path / "s", **options)
    figures = [study.base.adversarial for study in series.members.values()]
    assert series.members[0.1].base.clean < figures[0] < figures[1]
    folder = tmp_path / "one"
    study = hm.analyze(network, data, attack=hm.FGSM(0.4), out=folder, **options)
    assert study.base.adversarial == pytest.approx(figures[1])
    (next((folder / "outcomes").iterdir())).unlink()
    again = hm.analyze(network, data, attack=hm.FGSM(0.4), out=folder, **options)
    assert again.responses.equals(study.responses)
    assert again.manifest["study"] == study.manifest["study"]
    assert main(["verify", str(folder)]) == 0
    assert epsilon_text(study) == "0.4 of the root mean square of the embedding's values, in L∞"


def test_the_automatic_magnitude_is_a_share():
    network = pooled()
    data = (IDS, own_answers(network, IDS))
    for norm in ("linf", "l2"):
        study = hm.analyze(
            network, data, attack=hm.FGSM(norm=norm), sweep=SWEEP, execution=PLAIN,
            confirmation=NEVER,
        )  # fmt: skip
        assert 0 < study.metadata.attack.epsilon < 1
        assert 0.3 < study.base.adversarial < 0.9


def test_an_attack_aims_at_a_class():
    network = pooled()
    answers = own_answers(network, IDS)
    attack = hm.PGD(0.9, steps=10, target=1)
    study = hm.analyze(
        network, (IDS, answers), attack=attack, sweep=SWEEP, execution=PLAIN, confirmation=NEVER
    )
    untouched = (answers == 1).float().mean().item()
    assert study.base.adversarial == pytest.approx(untouched, abs=0.3)
    assert study.base.adversarial < study.base.clean


def test_clean_embeddings_of_many_samples_take_no_memory():
    ids = torch.zeros(10_000, 128, dtype=torch.int64)
    inputs = with_perturbation({"input_ids": ids}, 4096)  # 20 GB, were they written out
    samples = Samples(inputs, torch.arange(10_000) % 2, UNBOUNDED, 2, "many")
    some = take(samples, torch.randperm(10_000, generator=GENERATOR)[:9_000])
    some = replace(some, name="some")
    assert some.inputs[EMBEDDING_PERTURBATION].stride() == (0, 0, 0)
    assert len(some.inputs[EMBEDDING_PERTURBATION]) == len(some) == 9_000


def test_the_fingerprint_is_that_of_zeros_written_out():
    inputs = with_perturbation(BATCH, SIZE)
    written = {**inputs, EMBEDDING_PERTURBATION: torch.zeros(COUNT, TOKENS, SIZE)}
    both = [Samples(one, None, UNBOUNDED, 0, "x") for one in (inputs, written)]
    assert both[0].fingerprint() == both[1].fingerprint()
    assert both[0].part_fingerprint(2, 9) == both[1].part_fingerprint(2, 9)


@pytest.mark.parametrize("epsilon", [0.05, 3.0])
def test_the_nearest_tokens_are_those_of_a_loop(epsilon):
    network = bert()
    labels, attack = own_answers(network, BATCH), hm.FGSM(epsilon)
    words = [f"<{number}>" for number in range(WORDS)]
    table = hm.nearest_tokens(network, BATCH, labels, attack, tokenizer=words.__getitem__)
    losses, starts = cross_entropies, torch.zeros(COUNT, TOKENS, SIZE)
    vectors = network.get_input_embeddings().weight.detach().numpy().astype(np.float64)
    changes = attack_by_hand(network, labels, losses, attack, starts).numpy()
    rows = iter(table.to_dict("records"))
    for sample in range(COUNT):
        for position in range(int(MASK[sample].sum())):
            token = int(IDS[sample, position])
            found = next(rows)
            moved = vectors[token] + changes[sample, position]
            distances = [math.dist(moved, one) for one in vectors]
            others = {number: away for number, away in enumerate(distances) if number != token}
            other = min(others, key=others.__getitem__)
            assert (found["sample"], found["position"], found["token"]) == (sample, position, token)
            assert (found["text"], found["other_text"]) == (words[token], words[found["other"]])
            assert found["to_token"] == pytest.approx(distances[token], rel=1e-4)
            assert found["to_other"] == pytest.approx(distances[other], rel=1e-4)
            assert found["changed"] == (distances[other] < distances[token])
    assert next(rows, None) is None
    assert bool(table["changed"].to_numpy().any()) == (epsilon > 1)
    study = hm.analyze(
        network, (BATCH, labels), attack=attack, targets=LAYERS, sweep=SWEEP, execution=PLAIN,
        confirmation=NEVER,
    )  # fmt: skip
    says = "lie nearer to the vector of another token" if epsilon > 1 else "is no other text"
    assert [says in note for note in study.notes].count(True) == 1


def test_equal_vectors_are_no_other_token():
    network = pooled()
    network.words.weight.data[20:] = network.words.weight.data[:10]
    ids = torch.tensor([[1, 2, 3], [22, 5, 6]])
    table = hm.nearest_tokens(network, ids, torch.tensor([0, 1]), hm.FGSM(1e-3))
    assert not table["changed"].to_numpy().any()
    assert table["other"].tolist() == [21, 22, 23, 2, 25, 26]


class Misused(nn.Module):
    """Looks up something else than the ids that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.never = nn.Embedding(WORDS, SIZE), nn.Embedding(WORDS, SIZE)
        self.head = nn.Linear(SIZE, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.words((ids + 1) % WORDS).mean(dim=1))


BAGS = nn.Sequential(nn.EmbeddingBag(WORDS, SIZE), nn.Linear(SIZE, 3))
RENORMED = nn.Sequential(nn.Embedding(WORDS, 2, max_norm=1.0), nn.Flatten(), nn.Linear(14, 3))


@pytest.mark.parametrize(
    ("network", "inputs", "named", "error", "words"),
    [
        (BAGS, IDS, None, AttackError, "no embedding of the network looks up one by one"),
        (Misused(), IDS, None, AttackError, "no embedding of the network looks up one by one"),
        (Misused(), IDS, "words", AttackError, "'words' is called with something else than"),
        (Misused(), IDS, "never", AttackError, "'never' does not run"),
        (Misused(), IDS, "word", ModelError, "got 'word', no such module: .* 'words', 'never'"),
        (Pooled(), IDS.float(), None, AttackError, "Expected token ids"),
        (RENORMED, IDS, None, ModelError, "changes its own values when it looks them up"),
        (Pooled(), {"input_ids": IDS, "x": torch.rand(COUNT)}, None, AttackError, "whole numbers"),
        (Pooled(), {"input_ids": IDS, "x": IDS}, None, ModelError, "The network cannot run on"),
    ],
)
def test_what_has_no_embeddings_to_attack_is_refused(network, inputs, named, error, words):
    with pytest.raises(error, match=words):
        perturbed_embeddings(network.eval(), inputs, named)


def test_a_perturbation_of_another_shape_is_refused():
    perturbable = perturbed_embeddings(bert(), BATCH)
    change = torch.zeros(COUNT, TOKENS - 1, SIZE)
    with pytest.raises(
        ModelError, match=r"the shape \[24, 7, 16\] of the vectors .* \[24, 6, 16\]"
    ):
        perturbable({"input_ids": IDS, EMBEDDING_PERTURBATION: change})


def test_settings_that_embeddings_do_not_have_are_refused():
    data = (IDS, own_answers(pooled(), IDS))
    with pytest.raises(SettingError, match="Expected no `bounds` for an attack on embeddings"):
        hm.analyze(pooled(), data, bounds=(0, 50), execution=QUIET)
    with pytest.raises(SettingError, match="Expected `tokenizer` to have"):
        hm.nearest_tokens(pooled(), *data, hm.FGSM(0.1), tokenizer=["a"])


def test_an_embedding_is_attacked_by_name():
    network = perturbed_embeddings(pooled(), IDS, "words")
    data = (IDS, own_answers(pooled(), IDS))
    options: dict[str, Any] = {"sweep": SWEEP, "execution": PLAIN, "confirmation": NEVER}
    named = hm.analyze(network, data, attack=hm.FGSM(0.3), **options)
    found = hm.analyze(pooled(), data, attack=hm.FGSM(0.3), **options)
    assert named.manifest["study"] == found.manifest["study"]
    assert named.manifest["question"]["network"]["name"] == "Pooled"
    clean = hm.analyze(network, data, attack=None, **options)
    assert set(clean.scores["target"]) == set(found.scores["target"])


MODULE = """
import torch
from transformers import BertConfig, BertForSequenceClassification

def network():
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 2}
    config = BertConfig(vocab_size=30, num_hidden_layers=1, num_labels=2, **sizes)
    return BertForSequenceClassification(config).eval()

def data():
    torch.manual_seed(1)
    ids = torch.randint(30, (20, 5))
    mask = torch.ones_like(ids)
    mask[:6, 3:] = 0
    with torch.no_grad():
        labels = network()(ids, mask).logits.argmax(1)
    return {"input_ids": ids, "attention_mask": mask}, labels
"""


def test_the_command_line_attacks_embeddings(tmp_path, monkeypatch, capsys):
    from hormesis.cli.app import main

    (tmp_path / "my_texts.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    flags = "--attack fgsm --epsilon 0.2 --thresholds 3 --include classifier.weight --engine plain"
    named = ["analyze", "--model", "my_texts:network", "--data", "my_texts:data"]
    assert main([*named, *flags.split(), "--confirm", "never", "--out", "study"]) == 0
    study = hm.load_study("study")
    assert study.metadata.question.network.embedding is not None
    assert any("Epsilon is a share" in note for note in study.notes)
