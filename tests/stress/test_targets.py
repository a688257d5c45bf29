"""Which parameters are found, of which kind, in which order, and why the others are left out."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from hormesis.errors import ModelError, SettingError
from hormesis.models.normalization import normalized
from hormesis.settings.targets import Targets
from hormesis.stress.parts import Part, Target
from hormesis.stress.targets import find_targets

EVERYTHING = Targets(include=("*",))


def listed(
    network: nn.Module, example: Tensor, selection: Targets = EVERYTHING
) -> dict[str, Target]:
    return {target.name: target for target in find_targets(network.eval(), example, selection)}


def kinds(network: nn.Module, example: Tensor) -> dict[str, str]:
    return {name: target.kind for name, target in listed(network, example).items()}


def swept(network: nn.Module, example: Tensor, selection: Targets) -> list[str]:
    return [t.name for t in find_targets(network.eval(), example, selection) if t.tested]


class RMSNorm2d(nn.Module):
    """A norm of the network's own."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(0.5, 1.5, channels))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * self.scale[:, None, None]


class Attention(nn.Module):
    """Self-attention over a sequence; its output projection is used without being called."""

    def __init__(self, **options: object) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True, **options)  # pyright: ignore[reportArgumentType]

    def forward(self, inputs: Tensor) -> Tensor:
        return self.attention(inputs, inputs, inputs)[0].mean(1)


class Recurrent(nn.Module):
    """The last output of a recurrent layer."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layer(inputs)[0][:, -1]


class Pair(nn.Module):
    """A bilinear layer on its input, twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Bilinear(3, 3, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layer(inputs, inputs)


class Tokens(nn.Module):
    """An embedding of the rounded inputs, with a class token and positions."""

    def __init__(self) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.linspace(0, 1, 16).view(1, 4, 4))
        self.class_token = nn.Parameter(torch.linspace(-1, 1, 4).view(1, 1, 4))
        self.words = nn.Embedding(5, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        words = self.words(inputs.round().long())
        sequence = torch.cat([self.class_token.expand(len(inputs), -1, -1), words], 1)
        return self.head((sequence + self.positions)[:, 0])


class Shuffled(nn.Module):
    """Defines its parameters in another order than it uses them; one is never used."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Linear(2, 2, bias=False)
        self.last = nn.Linear(2, 2, bias=False)
        self.table = nn.Parameter(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
        self.first = nn.Linear(2, 2, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        # Looking at a parameter, as networks do to find their device, is no use of it.
        inputs = inputs.to(device=next(self.parameters()).device, dtype=self.last.weight.dtype)
        assert self.last.weight.shape[0] == self.last.weight.size(1)
        assert self.last.weight.is_floating_point()
        return self.last(self.first(inputs) @ self.table.T)


CONVOLUTIONS = [
    (nn.Conv1d(2, 4, 3), (2, 5)),
    (nn.Conv2d(2, 4, 3), (2, 5, 5)),
    (nn.Conv3d(2, 4, 3), (2, 5, 5, 5)),
    (nn.ConvTranspose1d(2, 4, 3), (2, 5)),
    (nn.ConvTranspose2d(2, 4, 3), (2, 5, 5)),
    (nn.ConvTranspose3d(2, 4, 3), (2, 5, 5, 5)),
    (nn.Conv2d(2, 4, 3, groups=2), (2, 5, 5)),
]


@pytest.mark.parametrize(("layer", "shape"), CONVOLUTIONS, ids=lambda part: str(part)[:16])
def test_convolutions_of_any_dimension(layer, shape):
    assert kinds(layer, torch.zeros(2, *shape)) == {"weight": "convolution", "bias": "bias"}


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm2d(2),
        nn.GroupNorm(1, 2),
        nn.LayerNorm([2, 3, 3]),
        nn.InstanceNorm2d(2, affine=True),
        nn.SyncBatchNorm(2),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_scales_of_norms(layer):
    with torch.no_grad():
        layer.weight.view(-1)[0] = 2.0
        layer.bias.view(-1)[0] = 2.0
    assert kinds(layer, torch.zeros(2, 2, 3, 3)) == {"weight": "norm", "bias": "bias"}


def test_norms_of_pytorch_and_of_the_network_itself_without_a_bias():
    network = nn.Sequential(RMSNorm2d(2), nn.Flatten(), nn.RMSNorm(8))
    with torch.no_grad():
        network.get_parameter("2.weight")[0] = 2.0
    assert kinds(network, torch.zeros(2, 2, 2, 2)) == {"0.scale": "norm", "2.weight": "norm"}


def test_linear_and_bilinear_layers():
    assert kinds(nn.Linear(3, 2), torch.zeros(2, 3)) == {"weight": "linear", "bias": "bias"}
    assert kinds(Pair(), torch.zeros(2, 3)) == {"layer.weight": "linear", "layer.bias": "bias"}


def test_attention_keeps_its_weights_outside_of_linear_layers():
    network = Attention()
    with torch.no_grad():
        assert network.attention.in_proj_bias is not None
        network.attention.in_proj_bias[0] = 1.0
        network.attention.out_proj.bias[0] = 1.0
    assert kinds(network, torch.zeros(2, 3, 4)) == {
        "attention.in_proj_weight": "attention",
        "attention.in_proj_bias": "bias",
        "attention.out_proj.weight": "linear",
        "attention.out_proj.bias": "bias",
    }
    assert swept(network, torch.zeros(2, 3, 4), Targets()) == [
        "attention.in_proj_weight",
        "attention.out_proj.weight",
    ]


def test_attention_with_separate_projections_and_added_biases():
    found = kinds(Attention(kdim=4, vdim=4, add_bias_kv=True, bias=False), torch.zeros(2, 3, 4))
    assert found["attention.bias_k"] == found["attention.bias_v"] == "bias"
    separate = Attention(bias=False)
    separate.attention = nn.MultiheadAttention(4, 2, bias=False, kdim=3, vdim=5, batch_first=True)
    names = dict(separate.named_parameters())
    assert "attention.q_proj_weight" in names

    class Asked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = separate.attention

        def forward(self, inputs: Tensor) -> Tensor:
            return self.attention(inputs, inputs[..., :3], inputs.repeat(1, 1, 2)[..., :5])[0]

    found = kinds(Asked(), torch.zeros(2, 3, 4))
    assert {found[f"attention.{part}_proj_weight"] for part in "qkv"} == {"attention"}


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers(layer):
    network = Recurrent(layer(3, 4, bidirectional=True, batch_first=True))
    found = kinds(network, torch.zeros(2, 5, 3))
    assert found["layer.weight_ih_l0"] == found["layer.weight_hh_l0_reverse"] == "recurrent"
    assert found["layer.bias_ih_l0"] == found["layer.bias_hh_l0_reverse"] == "bias"
    assert len(found) == 8


def test_embeddings_class_tokens_and_positions_in_the_order_of_use():
    assert kinds(Tokens(), torch.zeros(2, 3)) == {
        "words.weight": "embedding",
        "class_token": "other",
        "positions": "other",
        "head.weight": "linear",
        "head.bias": "bias",
    }


def test_names_and_kinds_of_parametrized_weights():
    network = nn.Sequential(weight_norm(nn.Conv2d(1, 2, 3)), nn.Flatten(), nn.Linear(2, 2))
    network.append(spectral_norm(nn.Linear(2, 3)))
    assert kinds(network, torch.zeros(2, 1, 3, 3)) == {
        "0.parametrizations.weight.original0": "norm",
        "0.parametrizations.weight.original1": "convolution",
        "0.bias": "bias",
        "2.weight": "linear",
        "2.bias": "bias",
        "3.parametrizations.weight.original": "linear",
        "3.bias": "bias",
    }


def test_a_layer_that_is_the_network_itself_may_be_parametrized():
    found = kinds(weight_norm(nn.Linear(3, 2)), torch.zeros(2, 3))
    assert found["parametrizations.weight.original0"] == "norm"
    assert found["parametrizations.weight.original1"] == "linear"


def test_order_is_that_of_use_not_of_definition():
    found = listed(Shuffled(), torch.zeros(2, 2))
    assert {name: target.depth for name, target in found.items()} == {
        "first.weight": 0,
        "table": 1,
        "last.weight": 2,
        "unused.weight": 3,
    }
    assert list(found) == sorted(found, key=lambda name: found[name].depth)


def test_what_is_found_of_a_target():
    network = nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[0.5, -1.5, 0.25], [2.0, 0.0, 1.0]]))
    assert find_targets(network, torch.zeros(1, 3), Targets()) == (
        Target(
            name="weight",
            kind="linear",
            parts=(Part("weight"),),
            shape=(2, 3),
            size=6,
            depth=0,
            minimum=-1.5,
            maximum=2.0,
        ),
    )


SMALL = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))
with torch.no_grad():
    SMALL.get_parameter("1.weight").copy_(torch.tensor([1.0, 2.0]))
    SMALL.get_parameter("1.bias").copy_(torch.tensor([1.0, 2.0]))
ALL_NAMES = ["0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias"]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Targets(), ["0.weight", "3.weight"]),
        (Targets(kinds=("bias",)), ["0.bias", "1.bias", "3.bias"]),
        (Targets(kinds=("norm", "linear")), ["1.weight", "3.weight"]),
        (Targets(include=("*",)), ALL_NAMES),
        (Targets(include=("1.*",)), ["1.weight", "1.bias"]),
        (Targets(include=("1.*", "3.weight")), ["1.weight", "1.bias", "3.weight"]),
        (Targets(include=("1.*",), kinds=("bias",)), ["1.bias"]),
        (Targets(include=("?.bias",), exclude=("0.*",)), ["1.bias", "3.bias"]),
        (Targets(exclude=("0.*",)), ["3.weight"]),
        (Targets(include=("0.weight",), exclude=("0.weight",), kinds=("linear",)), None),
    ],
)
def test_include_exclude_and_kinds(selection, expected):
    if expected is None:
        with pytest.raises(SettingError, match="No parameter of the network matches"):
            swept(SMALL, torch.zeros(2, 1, 4, 4), selection)
    else:
        assert swept(SMALL, torch.zeros(2, 1, 4, 4), selection) == expected


def test_each_one_left_out_has_its_reason():
    selection = Targets(include=("0.*", "3.*"), exclude=("3.*",), kinds=("convolution",))
    found = listed(SMALL, torch.zeros(2, 1, 4, 4), selection)
    assert {name: target.reason for name, target in found.items()} == {
        "0.weight": "",
        "0.bias": "of kind bias, which was not asked for",
        "1.weight": "not included by name",
        "1.bias": "not included by name",
        "3.weight": "excluded by name",
        "3.bias": "excluded by name",
    }


@pytest.mark.parametrize(
    ("layer", "shape", "axis", "channels"),
    [
        (nn.Conv2d(3, 2, 1), (3, 4, 4), 0, 2),
        (nn.ConvTranspose2d(3, 2, 3), (3, 4, 4), 1, 2),
        (nn.Linear(3, 2), (3,), 0, 2),
    ],
    ids=["convolution", "transposed", "linear"],
)
def test_channels_are_output_channels(layer, shape, axis, channels):
    found = find_targets(layer.eval(), torch.zeros(2, *shape), Targets(per="channel"))
    slices = [target for target in found if target.tested]
    assert [target.name for target in slices] == [f"weight[{i}]" for i in range(channels)]
    for index, target in enumerate(slices):
        values = layer.weight.detach().select(axis, index)
        assert target.parts == (Part("weight", axis, index),)
        assert torch.equal(target.parts[0].of(layer.weight.detach()), values)
        assert (target.shape, target.size) == (tuple(values.shape), values.numel())
        assert (target.minimum, target.maximum) == (values.min().item(), values.max().item())
        assert target.depth == slices[0].depth
    rest = [target.name for target in found if not target.tested]
    assert rest == ["bias"]


def test_the_channels_of_an_embedding_are_its_dimensions():
    selection = Targets(kinds=("embedding",), per="channel")
    names = swept(Tokens(), torch.zeros(2, 3), selection)
    assert names == [f"words.weight[{place}]" for place in range(4)]
    found = listed(Tokens(), torch.zeros(2, 3), selection)
    assert found["words.weight[0]"].shape == (5,)


def test_a_constant_channel_is_not_tested_while_the_others_are():
    layer = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, 3.0], [1.0, 2.0]]))
    found = listed(layer, torch.zeros(1, 2), Targets(per="channel"))
    assert found["weight[0]"].reason == (
        "all its values are equal, so that its thresholds coincide"
    )
    assert found["weight[1]"].tested


def test_channels_that_are_single_values_cannot_be_filtered():
    with pytest.raises(SettingError, match=r"none of 2 can be filtered; bias\[0\]: it is a single"):
        find_targets(nn.Linear(3, 2), torch.zeros(1, 3), Targets(kinds=("bias",), per="channel"))


def test_a_global_target_joins_all_that_are_asked_for_and_lists_the_rest():
    found = find_targets(SMALL.eval(), torch.zeros(2, 1, 4, 4), Targets(scope="global"))
    whole, *rest = found
    convolution, linear = (SMALL.get_parameter(f"{n}.weight").detach() for n in (0, 3))
    assert (whole.name, whole.kind, whole.shape, whole.depth) == ("all", "global", (), 0)
    assert whole.parts == (Part("0.weight"), Part("3.weight"))
    assert whole.size == convolution.numel() + linear.numel()
    assert whole.minimum == min(convolution.min().item(), linear.min().item())
    assert whole.maximum == max(convolution.max().item(), linear.max().item())
    assert whole.tested
    assert [target.name for target in rest] == ["0.bias", "1.weight", "1.bias", "3.bias"]
    assert not any(target.tested for target in rest)


class Tied(nn.Module):
    """An embedding whose weights are also the head's."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(5, 4)
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.words.weight

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.words(inputs.long()).mean(1))


def test_tied_weights_are_listed_once():
    assert kinds(Tied(), torch.zeros(2, 3)) == {"words.weight": "embedding"}


def test_a_shared_module_is_listed_once():
    shared = nn.Linear(2, 2, bias=False)
    found = listed(nn.Sequential(shared, nn.ReLU(), shared), torch.zeros(1, 2))
    assert list(found) == ["0.weight"]


class Odd(nn.Module):
    """Holds what cannot be filtered beside a layer that can."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.Parameter(torch.tensor([1, 2, 3]), requires_grad=False)
        self.nothing = nn.Parameter(torch.zeros(0, 4))
        self.temperature = nn.Parameter(torch.tensor(2.0))
        self.gain = nn.Parameter(torch.ones(3))
        self.waves = nn.Parameter(torch.tensor([1j, 2.0]))
        self.layer = nn.Linear(2, 3, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layer(inputs) * self.gain / self.temperature


def test_what_cannot_be_filtered_says_why():
    found = listed(Odd(), torch.zeros(1, 2))
    assert {name: target.reason for name, target in found.items()} == {
        "layer.weight": "",
        "gain": "all its values are equal, so that its thresholds coincide",
        "temperature": "it is a single value, so that its thresholds coincide",
        "steps": "has values of type torch.int64",
        "nothing": "has no values",
        "waves": "has values of type torch.complex64",
    }
    assert math.isnan(found["nothing"].minimum)
    assert math.isnan(found["steps"].maximum)


def test_what_cannot_be_filtered_can_still_be_left_out_by_name():
    found = listed(Odd(), torch.zeros(1, 2), Targets())
    assert found["gain"].reason == "of kind other, which was not asked for"


def test_a_network_without_parameters_is_refused():
    with pytest.raises(ModelError, match="has no parameters: there is nothing to filter"):
        find_targets(nn.Flatten(), torch.zeros(1, 2), Targets())


def test_where_nothing_matches_the_message_names_what_there_is():
    with pytest.raises(
        SettingError,
        match=r"No parameter of the network matches `include`, `exclude` and `kinds`; it has "
        r"parameters of kind bias, convolution, linear, norm, such as 0\.weight, 0\.bias, 1\.w",
    ):
        find_targets(SMALL, torch.zeros(2, 1, 4, 4), Targets(kinds=("recurrent",)))


@pytest.mark.parametrize("scope", ["local", "global"])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gain", "but gain cannot be filtered; gain: all its values are equal"),
        ("steps", "but steps cannot be filtered; steps: has values of type torch.int64"),
        ("*e*", "but none of 2 can be filtered; temperature: it is a single value"),
    ],
)
def test_where_only_constants_are_asked_for_the_message_says_so(scope, name, words):
    selection = Targets(include=(name,), exclude=("layer.*", "waves"), scope=scope)
    with pytest.raises(SettingError, match=words):
        find_targets(Odd(), torch.zeros(1, 2), selection)


def test_the_normalisation_wrapper_leaves_no_trace_in_names():
    inner = nn.Sequential()
    inner.add_module("network", nn.Conv2d(1, 2, 3))
    inner.add_module("flatten", nn.Flatten())
    wrapped = normalized(inner, [0.5], [0.5])
    plain, behind = (
        find_targets(network.eval(), torch.zeros(1, 1, 4, 4), Targets())
        for network in (inner, wrapped)
    )
    assert [target.name for target in plain] == ["network.weight", "network.bias"]
    assert [target.name for target in behind] == ["network.weight", "network.bias"]
    assert behind[0].parts == (Part("network.network.weight"),)
    assert swept(wrapped, torch.zeros(1, 1, 4, 4), Targets(include=("network.weight",))) == [
        "network.weight"
    ]


def test_the_network_is_not_changed():
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    find_targets(network, torch.ones(2, 2), Targets())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in network.parameters())
