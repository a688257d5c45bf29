"""Groups by structure: each layout is proved by a run, by hooks that know nothing of weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

import pytest
import torch
import yaml
from benchmarks.zoo.entry import Entry, made
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._pytree import tree_leaves

import hormesis as hm
from hormesis.cli.app import main
from hormesis.settings.targets import PartPattern
from hormesis.stress.parts import Part
from hormesis.stress.structure import with_groups
from hormesis.stress.structure_check import check_layouts

ZOO = {
    "language": ("LANGUAGE",),
    "senses": ("SENSES",),
    "vision": ("TIMM", "TORCHVISION"),
    "others": ("OTHERS",),
}
QUIET = hm.Execution("plain", progress=False)
# One of each layout; the others are slow tests.
LAYOUTS = [
    *("BertForSequenceClassification", "AlbertForSequenceClassification", "GPT2LMHeadModel"),
    *("DebertaForSequenceClassification", "XLNetForSequenceClassification", "T5EncoderModel"),
    *("ModernBertForSequenceClassification", "GPTNeoXForCausalLM", "BloomForCausalLM"),
    *("FalconForCausalLM", "LlamaForCausalLM", "PhiForCausalLM", "vit_tiny_patch16_224"),
    *("VisionTransformer", "BartForConditionalGeneration"),
]
# What is refused, or has no attention at all.
REFUSED = {
    "ConvBertForSequenceClassification": "2 heads do not fit",
    "SqueezeBertForSequenceClassification": "SqueezeBertSelfAttention",
    "cait_xxs24_224": "TalkingHeadAttn",
    "xcit_nano_12_p16_224": "XCA",
    "levit_128s": "Attention",
    "edgenext_xx_small": "CrossCovarianceAttn",
    "MaxVit": "RelativePositionalMultiHeadAttention",
    "UNet2DModel": "Attention",
    "AutoencoderKL": "Attention",
}


@cache
def tried(module: str) -> dict[str, Entry]:
    """Return the networks of a part of the list of networks tried, by name."""
    part = import_module(f"benchmarks.zoo.{module}")
    return {entry.name: entry for name in ZOO[module] for entry in getattr(part, name)}


@cache
def prepared(name: str) -> tuple[nn.Module, Any]:
    places = (extra(), *(tried(module) for module in ("language", "vision")))
    one = made(next(place[name] for place in places if name in place))
    return one.network, one.data[0]


@cache
def extra() -> dict[str, Entry]:
    """Networks whose layouts are not in the list of networks tried."""
    import transformers as hf

    usual: dict[str, Any] = {
        "vocab_size": 60,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": 40,
    }
    falcon = hf.FalconConfig(**usual, new_decoder_architecture=True, num_kv_heads=2)
    grouped = hf.FalconConfig(**usual, multi_query=False)
    grown = hf.Phi3Config(**usual, num_key_value_heads=2, pad_token_id=0)
    mpt = hf.MptConfig(vocab_size=60, d_model=32, n_heads=4, n_layers=2, max_seq_len=40)
    persimmon = hf.PersimmonConfig(**usual, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    networks = {
        "Falcon, grouped": lambda: hf.FalconForCausalLM(falcon),
        "Falcon, by head": lambda: hf.FalconForCausalLM(grouped),
        "Phi3": lambda: hf.Phi3ForCausalLM(grown),
        "MPT": lambda: hf.MptForCausalLM(mpt),
        "Persimmon": lambda: hf.PersimmonForCausalLM(persimmon),
        "nanoGPT": NanoGPT,
        "grouped dimensions": OtherDimensions,
    }
    return {
        name: Entry(name, "", 2, build, words, "perplexity") for name, build in networks.items()
    }


def words() -> dict[str, Tensor]:
    return {"input_ids": torch.randint(3, 60, (8, 10))}


class CausalSelfAttention(nn.Module):
    """The attention of nanoGPT, with its fused matrix the other way round than in GPT-2."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.n_head = heads

    def forward(self, inputs: Tensor) -> Tensor:
        rows, length, width = inputs.shape
        parts = self.c_attn(inputs).split(width, dim=2)
        heads = [p.view(rows, length, self.n_head, -1).transpose(1, 2) for p in parts]
        mixed = functional.scaled_dot_product_attention(*heads, is_causal=True)
        return self.c_proj(mixed.transpose(1, 2).reshape(rows, length, width))


class NanoBlock(nn.Module):
    """A block that normalises first, as those of GPT-2."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln_1, self.attn = nn.LayerNorm(width), CausalSelfAttention(width, heads)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = nn.ModuleDict(
            {"c_fc": nn.Linear(width, 2 * width), "c_proj": nn.Linear(2 * width, width)}
        )

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = inputs + self.attn(self.ln_1(inputs))
        inner = functional.gelu(self.mlp["c_fc"](self.ln_2(hidden)))
        return hidden + self.mlp["c_proj"](inner)


class NanoGPT(nn.Module):
    """A small decoder whose head shares the weights of its embedding."""

    def __init__(self, blocks: int = 3) -> None:
        super().__init__()
        self.wte = nn.Embedding(60, 24)
        self.h = nn.ModuleList([NanoBlock(24, 3) for _ in range(blocks)])
        self.lm_head = nn.Linear(24, 60, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, input_ids: Tensor) -> Tensor:
        hidden = self.wte(input_ids)
        for block in self.h:
            hidden = block(hidden)
        return self.lm_head(hidden)


class OtherDimensions(nn.Module):
    """PyTorch's attention whose keys and values have other widths than its queries."""

    def __init__(self) -> None:
        super().__init__()
        self.wte = nn.Embedding(60, 12)
        self.attention = nn.MultiheadAttention(12, 3, kdim=6, vdim=8, batch_first=True)
        self.head = nn.Linear(12, 60)

    def forward(self, input_ids: Tensor) -> Tensor:
        hidden = self.wte(input_ids)
        mixed, _ = self.attention(hidden, hidden[..., :6], hidden[..., 4:], need_weights=False)
        return self.head(mixed)


def run(network: nn.Module, inputs: Any) -> list[Tensor]:
    """Return all that a network returns."""
    with torch.no_grad():
        if isinstance(inputs, dict):
            given = network(**inputs)
        else:
            given = network(*inputs) if isinstance(inputs, tuple) else network(inputs)
    tensors = tree_leaves(dict(given) if hasattr(given, "keys") else given)
    return [one for one in tensors if isinstance(one, Tensor)]


def view(network: nn.Module, part: str | PartPattern) -> Tensor:
    """Return the values of a part of a group, as a view of the parameter."""
    if isinstance(part, str):
        return network.get_parameter(part).data
    return Part(part.pattern, part.axis, part.index, part.of).of(
        network.get_parameter(part.pattern).data
    )


@contextmanager
def without(network: nn.Module, parts: list[Any]) -> Iterator[None]:
    """Zero some parts, and put them back."""
    views = [view(network, part) for part in parts]
    saved = [one.clone() for one in views]
    for one in views:
        one.zero_()
    yield
    for one, values in zip(views, saved, strict=True):
        one.copy_(values)


@contextmanager
def head_output_zeroed(network: nn.Module, output: PartPattern) -> Iterator[None]:
    """Zero what one head hands to the output projection: by a hook before it, if it is called.

    PyTorch's own attention, torchvision's Swin, XLNet and WavLM use the weights of theirs without a
    call.
    """
    path = output.pattern.removesuffix(".weight")
    owners = [type(module).__name__ for module in network.modules()]
    uncalled = ("MultiheadAttention", "ShiftedWindowAttention", "XLNetRelativeAttention")
    uncalled += ("WavLMAttention",)
    module = network.get_submodule(path) if path != output.pattern else nn.Identity()
    if any(name in owners for name in uncalled):
        with without(network, [output]):
            yield
        return

    def hook(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        first = given[0].clone()
        width = first.shape[-1] // output.of
        first[..., output.index * width : (output.index + 1) * width] = 0
        return (first, *given[1:])

    handle = module.register_forward_pre_hook(hook)
    yield
    handle.remove()


def check_heads(network: nn.Module, inputs: Any) -> None:
    groups = hm.parts_of(network, "heads")
    base = run(network, inputs)
    changed = 0
    for label, parts in groups.items():
        if "kv head" in label:
            continue
        last = parts[-1]
        output = PartPattern(last, 1, 1, 0) if isinstance(last, str) else last
        with without(network, parts):
            removed = run(network, inputs)
        with head_output_zeroed(network, output):
            expected = run(network, inputs)
        for one, other in zip(removed, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
        changed += not all(torch.allclose(*pair) for pair in zip(expected, base, strict=True))
    assert changed > len(groups) // 4
    check_shared(network, inputs, groups)
    restored = run(network, inputs)
    assert all(torch.equal(*pair) for pair in zip(base, restored, strict=True))


def check_shared(network: nn.Module, inputs: Any, groups: dict[str, Any]) -> None:
    """Without a key-value head, the heads that share it hand on a constant, and no other moves."""
    shared = {label: parts for label, parts in groups.items() if "kv head" in label}
    for label, parts in shared.items():
        block, _, number = label.partition(" kv head ")
        heads = [own[-1] for name, own in groups.items() if name.startswith(f"{block} head ")]
        count = sum(name.startswith(f"{block} kv head ") for name in shared)
        path = heads[0].pattern.removesuffix(".weight")
        before = handed_on(network, path, inputs)
        with without(network, parts):
            after = handed_on(network, path, inputs)
        width, each = before.shape[-1] // len(heads), len(heads) // count
        own = slice(int(number) * each * width, (int(number) + 1) * each * width)
        constant = after[..., own].flatten(0, -2)
        torch.testing.assert_close(constant, constant[:1].expand_as(constant))
        assert not torch.allclose(before[..., own], after[..., own])
        others = torch.ones(before.shape[-1], dtype=torch.bool)
        others[own] = False
        torch.testing.assert_close(before[..., others], after[..., others])


def handed_on(network: nn.Module, path: str, inputs: Any) -> Tensor:
    """Return what an output projection is given."""
    seen: list[Tensor] = []
    module = network.get_submodule(path)
    handle = module.register_forward_pre_hook(lambda _, given: seen.append(given[0].clone()))
    run(network, inputs)
    handle.remove()
    return seen[0]


def test_the_command_line_takes_what_is_to_be_grouped(capsys, tmp_path):
    with pytest.raises(SystemExit):
        main(["analyze", "--groups", "heads", "mlp", "--print_config"])
    assert yaml.safe_load(capsys.readouterr().out)["groups"] == ["heads", "mlp"]
    for words in ("heads", "[heads, mlp]"):
        (tmp_path / "config.yaml").write_text(f"groups: {words}\n")
        with pytest.raises(SystemExit):
            main(["analyze", "--config", str(tmp_path / "config.yaml"), "--print_config"])
        read = yaml.safe_load(capsys.readouterr().out)["groups"]
        assert read == ("heads" if words == "heads" else ["heads", "mlp"])
    assert main(["analyze", "--groups", "haeds"]) == 2
    assert "got 'haeds'. Did you mean heads?" in capsys.readouterr().err
    assert main(["analyze", "--groups", "heads", "a=x.*"]) == 2
    assert "`--groups` to be a mapping" in capsys.readouterr().err


@pytest.mark.parametrize("name", [*LAYOUTS, *("Falcon, grouped", "Phi3", "nanoGPT")])
def test_a_network_without_a_head_is_that_whose_head_hands_on_nothing(name):
    check_heads(*prepared(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Falcon, by head", "MPT", "Persimmon", "grouped dimensions"])
def test_the_same_of_rarer_layouts(name):
    check_heads(*prepared(name))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the libraries that the networks come from
@pytest.mark.parametrize("module", ZOO)
def test_the_same_of_every_other_network_tried(module):
    understood = 0
    for name, entry in tried(module).items():
        if entry.ring == 3 or name in LAYOUTS:
            continue
        one = made(entry)
        attentive = any(
            any(word in type(part).__name__.lower() for word in ("attention", "attn"))
            and any(parameter.ndim > 1 for parameter in part.parameters())
            for part in one.network.modules()
        )
        if name in REFUSED or not attentive:
            with pytest.raises(hm.HormesisError, match=REFUSED.get(name, "has no heads")):
                hm.parts_of(one.network, "heads")
            continue
        check_heads(one.network, one.data[0])
        understood += 1
    assert understood > 1


def test_names_are_short_and_sort_as_the_blocks_do():
    network = NanoGPT(blocks=11)
    heads, mlp = hm.parts_of(network, "heads"), hm.parts_of(network, "mlp")
    assert list(heads)[:4] == [*(f"block 00 head {head}" for head in range(3)), "block 01 head 0"]
    assert list(heads) == sorted(heads)
    assert list(mlp)[:2] == ["block 00 mlp up", "block 00 mlp down"]
    assert mlp["block 10 mlp down"] == ["h.10.mlp.c_proj.weight"]
    assert [str(part) for part in heads["block 02 head 1"]] == [
        "h.2.attn.c_attn.weight@0:1/9",
        "h.2.attn.c_attn.weight@0:4/9",
        "h.2.attn.c_attn.weight@0:7/9",
        "h.2.attn.c_proj.weight@1:1/3",
    ]
    assert hm.parts_of(network, "blocks")["block 03"] == ["h.3.*"]
    assert hm.parts_of(network, "attention")["block 03 attention"] == [
        "h.3.attn.c_attn.weight",
        "h.3.attn.c_proj.weight",
    ]


def test_projections_of_every_order_are_all_heads_together():
    for name in ("GPTNeoXForCausalLM", "Falcon, grouped", "Phi3", "BartForConditionalGeneration"):
        network, _ = prepared(name)
        heads, parts = hm.parts_of(network, "heads"), hm.parts_of(network, "projections")
        for groups in (heads, parts):
            with without(network, [part for own in groups.values() for part in own]):
                zero = {n for n, p in network.named_parameters() if p.ndim > 1 and not p.any()}
            assert len(zero) == len(hm.parts_of(network, "attention")) * (
                2 if name != "BartForConditionalGeneration" else 4
            )
        sizes = [sum(view(network, p).numel() for p in own) for own in parts.values()]
        whole = [
            sum(view(network, part).numel() for part in own)
            for own in hm.parts_of(network, "attention").values()
        ]
        assert sum(sizes) == sum(whole)


@pytest.mark.parametrize(
    ("name", "activation"),
    [
        ("ModernBertForSequenceClassification", "model.layers.0.mlp.act"),
        ("Phi3", "model.layers.0.mlp.activation_fn"),
    ],
)
def test_the_gate_is_what_the_activation_is_given(name, activation):
    network, inputs = prepared(name)
    groups = hm.parts_of(network, "mlp")
    assert list(groups)[:3] == [f"block 0 mlp {role}" for role in ("gate", "up", "down")]
    before = handed_on(network, activation, inputs)
    with without(network, groups["block 0 mlp up"]):
        assert torch.equal(handed_on(network, activation, inputs), before)
    with without(network, groups["block 0 mlp gate"]):
        assert not handed_on(network, activation, inputs).any()


def test_parts_of_a_feed_forward_layer_are_told_by_their_names():
    llama, mixtral = (prepared(f"{name}ForCausalLM")[0] for name in ("Llama", "Mixtral"))
    names = [f"block 0 mlp {role}" for role in ("gate", "up", "down")]
    assert list(hm.parts_of(llama, "mlp"))[:3] == names
    assert list(hm.parts_of(mixtral, "mlp"))[:3] == [
        "block 0 mlp router",
        "block 0 mlp experts.gate_up_proj",
        "block 0 mlp experts.down_proj",
    ]


def test_tied_and_shared_weights_are_there_once():
    assert hm.parts_of(NanoGPT(), "embeddings") == {"embedding wte": ["wte.weight"]}
    bart, _ = prepared("BartForConditionalGeneration")
    assert list(hm.parts_of(bart, "embeddings")) == [
        "embedding shared",
        "embedding encoder embed_positions",
        "embedding decoder embed_positions",
    ]
    albert, _ = prepared("AlbertForSequenceClassification")
    assert list(hm.parts_of(albert, "blocks")) == ["block 0"]
    shared = NanoBlock(24, 3)
    network = nn.Sequential(nn.Embedding(60, 24), nn.ModuleList([shared, shared]))
    assert list(hm.parts_of(network, "blocks")) == ["block 0"]


def test_an_encoder_and_a_decoder_are_told_apart():
    bart, _ = prepared("BartForConditionalGeneration")
    names = list(hm.parts_of(bart, "attention"))
    assert names[0] == "encoder block 0 attention"
    assert names[-2:] == ["decoder block 1 self attention", "decoder block 1 cross attention"]


def ids(samples: int = 24) -> tuple[Tensor, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        inputs = torch.randint(3, 60, (samples, 8))
    return inputs, inputs


def nano(blocks: int = 2) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        return NanoGPT(blocks).eval()


def study(groups: Any, **asked: Any) -> hm.Study:
    given = {"metric": "next_token_nll", "sweep": hm.Sweep(thresholds=2, filters=("high_pass",))}
    given |= asked
    targets = hm.Targets(groups=groups, kinds=given.pop("kinds", None))
    return hm.analyze(nano(), ids(), attack=None, targets=targets, execution=QUIET, **given)


def test_a_study_of_heads_is_the_study_of_the_spelled_out_groups():
    short, long = study("heads"), study(hm.parts_of(nano(), "heads"))
    assert short.manifest["study"] == long.manifest["study"]
    assert short.manifest["question"] == long.manifest["question"]
    spelled = short.manifest["question"]["targets"]["groups"]
    assert spelled["block 1 head 2"][-1] == "h.1.attn.c_proj.weight@1:2/3"
    assert set(short.scores["target"]) == set(hm.parts_of(nano(), "heads"))
    both = study(("attention", "mlp"))
    assert set(both.scores["target"]) == {
        *(f"block {block} {part}" for block in (0, 1) for part in ("attention", "mlp up")),
        *(f"block {block} mlp down" for block in (0, 1)),
    }


def test_wrappers_of_the_package_are_no_part_of_a_structure():
    inner = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(8, 2, 16), 2, enable_nested_tensor=False
    )
    wrapped = hm.normalized(inner, (0.5,), (0.2,))
    for what in ("heads", "blocks", "mlp"):
        assert hm.parts_of(wrapped, what) == hm.parts_of(inner, what)


def test_a_block_that_lacks_all_its_values_passes_its_input_on():
    network, (inputs, _) = nano(), ids()
    removed = study("blocks", kinds=("linear", "norm", "bias"))
    rows = removed.responses.query("target == 'block 1'")
    assert rows["density"].tolist()[-1] == 0
    skipping = nano()
    skipping.h[1] = nn.Identity()
    nll = functional.cross_entropy(
        skipping(inputs)[:, :-1].transpose(1, 2), inputs[:, 1:], reduction="none"
    )
    assert rows["clean"].tolist()[-1] == pytest.approx(nll.mean().item(), rel=1e-6)
    with without(network, [n for n, _ in network.named_parameters() if n.startswith("h.1.")]):
        assert torch.equal(network(inputs), skipping(inputs))


def test_whole_blocks_hold_experts_and_every_matrix():
    network, _ = prepared("LlamaForCausalLM")
    blocks, inside = hm.parts_of(network, "blocks"), 0
    for what in ("attention", "mlp"):
        inside += sum(len(parts) for parts in hm.parts_of(network, what).values())
    assert len(blocks) == 2
    assert inside == sum(".layers." in n and p.ndim > 1 for n, p in network.named_parameters())


class Interleaved(CausalSelfAttention):
    """An attention whose heads take every third channel."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        names = ("q_proj", "k_proj", "v_proj")
        for name in names:
            self.add_module(name, nn.Linear(width, width))
        self.out_proj = nn.Linear(width, width)
        del self.c_attn, self.c_proj

    def forward(self, inputs: Tensor) -> Tensor:
        rows, length, width = inputs.shape
        parts = [getattr(self, name)(inputs) for name in ("q_proj", "k_proj", "v_proj")]
        heads = [p.view(rows, length, -1, self.n_head).permute(0, 3, 1, 2) for p in parts]
        mixed = functional.scaled_dot_product_attention(*heads, is_causal=True)
        return self.out_proj(mixed.permute(0, 2, 3, 1).reshape(rows, length, width))


@pytest.mark.parametrize("groups", ["heads", ("mlp", "projections")])
def test_a_run_contradicts_a_layout_that_only_looks_known(groups):
    network = nano()
    network.h[1].attn = Interleaved(24, 3)
    before = {name: values.clone() for name, values in network.state_dict().items()}
    settings = {"attack": None, "metric": "next_token_nll", "execution": QUIET}
    with pytest.raises(hm.HormesisError, match=r"h\.1\.attn is not understood: a run shows"):
        hm.analyze(network, ids(), targets=hm.Targets(groups=groups), **settings)
    assert all(torch.equal(network.state_dict()[name], own) for name, own in before.items())
    sweep = hm.Sweep(filters=("high_pass",), thresholds=2)
    blocks = hm.Targets(groups="attention")
    hm.analyze(network, ids(), targets=blocks, sweep=sweep, **settings)


@pytest.mark.parametrize("name", ["LlamaForCausalLM", "Falcon, grouped", "T5EncoderModel"])
def test_a_run_agrees_with_the_layouts_that_the_other_tests_prove(name, monkeypatch):
    monkeypatch.setattr("hormesis.stress.structure_check._PROVED", ())
    network, inputs = prepared(name)
    base, seen = run(network, inputs), []
    check_layouts(network, hm.Targets(groups="heads"), lambda: seen.append(run(network, inputs)))
    assert len(seen) > len(hm.parts_of(network, "attention"))
    assert all(torch.equal(*pair) for pair in zip(base, run(network, inputs), strict=True))


def test_what_is_not_understood_is_named():
    class StrangeAttention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.proj = nn.Linear(8, 24), nn.Linear(8, 8)
            self.num_heads = 2

    class Strange(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([StrangeAttention(), StrangeAttention()])

    for what in ("heads", "projections", "attention", "mlp"):
        with pytest.raises(
            hm.HormesisError, match=r"layers\.0 is not understood: .*StrangeAttention.*spell out"
        ):
            hm.parts_of(Strange(), what)
    assert list(hm.parts_of(Strange(), "blocks")) == ["block 0", "block 1"]
    with pytest.raises(hm.HormesisError, match="head"):
        hm.parts_of(Strange(), "head")
    with pytest.raises(hm.HormesisError, match="Sequential, has no heads"):
        with_groups(nn.Sequential(nn.Linear(2, 2)), hm.Targets(groups="heads"))
    odd = nn.MultiheadAttention(8, 2)
    odd.num_heads = 3
    with pytest.raises(hm.HormesisError, match="3 heads do not fit 24 channels"):
        hm.parts_of(odd, "heads")
