import sys
import types
from collections import namedtuple
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.models import get_model

from hormesis.errors import MissingExtraError, ModelError, SettingError
from hormesis.models.networks import build_model, check_network, logits_of
from hormesis.models.normalization import normalized

PAPER = ["resnet18", "resnet50", "squeezenet1_1", "shufflenet_v2_x1_0"]
# The smallest of each other family of torchvision that runs at 32x32, or at the size given.
FAMILIES = [
    ("convnext_tiny", 32),
    ("densenet121", 32),
    ("efficientnet_b0", 32),
    ("googlenet", 32),
    ("inception_v3", 96),
    ("maxvit_t", 224),
    ("mnasnet0_5", 32),
    ("mobilenet_v2", 32),
    ("mobilenet_v3_small", 32),
    ("regnet_y_400mf", 32),
    ("swin_t", 32),
    ("swin_v2_t", 32),
]


@pytest.fixture
def module(monkeypatch):
    """A module called `nets`, as a user would have one."""
    made = types.ModuleType("nets")
    monkeypatch.setitem(sys.modules, "nets", made)
    return made


@pytest.fixture
def linear():
    with torch.random.fork_rng(devices=[]):
        return nn.Sequential(nn.Flatten(), nn.Linear(12, 3), nn.Dropout(0.5))


def run(network, channels, size):
    with torch.no_grad():
        return network.eval()(torch.rand(2, channels, size, size))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", PAPER)
def test_the_papers_networks_fit_the_data(name, channels):
    network = build_model(name, classes=7, channels=channels, size=(32, 32))
    assert run(network, channels, 32).shape == (2, 7)
    check_network(network, torch.rand(2, channels, 32, 32), 7)
    reference = get_model(name, weights=None, num_classes=7)
    first = {n for n, value in reference.named_parameters() if value.ndim == 4}
    expected = {n: tuple(value.shape) for n, value in reference.named_parameters()}
    shapes = {n: tuple(value.shape) for n, value in network.named_parameters()}
    changed = {n for n in expected if shapes[n] != expected[n]}
    assert list(shapes) == list(expected)
    assert changed == (set() if channels == 3 else {next(n for n in expected if n in first)})


def test_only_the_channels_of_the_first_convolution_change():
    ours = build_model("resnet18", classes=10, channels=5).get_submodule("conv1")
    theirs = get_model("resnet18", weights=None).get_submodule("conv1")
    assert repr(ours) == repr(theirs).replace("Conv2d(3,", "Conv2d(5,")
    assert ours.bias is None


@pytest.mark.parametrize(("name", "size"), FAMILIES)
def test_every_family_is_built_and_runs(name, size):
    network = build_model(name, classes=4, channels=1, size=(size, size))
    check_network(network, torch.rand(2, 1, size, size), 4)
    assert run(network, 1, size).shape == (2, 4)
    del network


@pytest.mark.parametrize("name", ["alexnet", "vgg11"])
def test_large_families_are_built(name):
    network = build_model(name, classes=4, channels=2)
    assert run(network, 2, 64).shape == (2, 4)


def test_a_vision_transformer_takes_the_size_of_the_data():
    network = build_model("vit_b_16", classes=10, channels=1, size=(32, 32))
    assert run(network, 1, 32).shape == (2, 10)
    assert network.get_parameter("encoder.pos_embedding").shape == (1, 5, 768)
    with pytest.raises(ModelError, match="Expected square inputs for 'vit_b_16', got 32x48"):
        build_model("vit_b_16", classes=10, channels=1, size=(32, 48))
    with pytest.raises(ModelError, match="Cannot build 'vit_b_16' for inputs of 30x30 pixels: "):
        build_model("vit_b_16", classes=10, channels=1, size=(30, 30))


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_auxiliary_heads_are_left_out(name):
    network = build_model(name, classes=4, channels=3)
    assert not [n for n, _ in network.named_modules() if "aux" in n.lower()]
    network.train()
    assert isinstance(network(torch.rand(2, 3, 96, 96)), torch.Tensor)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32), channels=st.sampled_from([1, 3]))
def test_the_seed_fixes_the_weights_and_leaves_the_global_state(seed, channels):
    before = torch.get_rng_state()
    one = build_model("squeezenet1_1", classes=2, channels=channels, seed=seed).state_dict()
    torch.rand(3)
    two = build_model("squeezenet1_1", classes=2, channels=channels, seed=seed).state_dict()
    other = build_model("squeezenet1_1", classes=2, channels=channels, seed=seed + 1).state_dict()
    torch.set_rng_state(before)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["features.0.weight"], other["features.0.weight"])
    build_model("squeezenet1_1", classes=2, channels=channels, seed=seed)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_default_device_does_not_matter():
    with torch.device("meta"):
        network = build_model("squeezenet1_1", classes=2, channels=1)
    assert {value.device.type for value in network.parameters()} == {"cpu"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("resnet19", r"Unknown model 'resnet19'\. Did you mean resnet1.*timm:NAME"),
        ("ResNet50", r"Unknown model 'ResNet50'\. Did you mean resnet50"),
        ("fcn_resnet50", r"Unknown model 'fcn_resnet50'"),
        ("", r"Unknown model ''.*squeezenet1_1"),
        ("../weights.pt", "Unknown model"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name, words):
    with pytest.raises(ModelError, match=words) as refusal:
        build_model(name, classes=2, channels=1)
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize(("classes", "channels"), [(0, 3), (2, 0), (-1, 3)])
def test_counts_below_one_are_refused(classes, channels):
    with pytest.raises(ModelError, match=r"`(classes|channels)` to be at least 1, got (0|-1)"):
        build_model("resnet18", classes=classes, channels=channels)


def test_timm_networks():
    pytest.importorskip("timm")
    network = build_model("timm:test_resnet", classes=5, channels=1, size=(32, 32))
    assert run(network, 1, 32).shape == (2, 5)
    network = build_model("timm:test_vit", classes=5, channels=2, size=(64, 32))
    with torch.no_grad():
        assert network.eval()(torch.rand(2, 2, 64, 32)).shape == (2, 5)


@pytest.mark.parametrize("name", ["timm:resnet999", "timm:hf-hub:timm/resnet18", "timm:"])
def test_unknown_timm_names_are_refused_without_asking_the_network(name):
    pytest.importorskip("timm")
    with pytest.raises(ModelError, match=f"Unknown model '{name}'"):
        build_model(name, classes=5, channels=1)


def test_timm_networks_that_cannot_be_built_are_refused():
    pytest.importorskip("timm")
    name = "timm:maxvit_rmlp_pico_rw_256"
    with pytest.raises(ModelError, match=f"Cannot build '{name}' for inputs of 30x30 pixels: Run"):
        build_model(name, classes=5, channels=1, size=(30, 30))


def test_timm_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"need timm: run `pip install hormesis\[timm\]`"):
        build_model("timm:resnet18", classes=5, channels=1)


def test_a_factory_a_class_and_a_network_are_taken(module):
    module.build = lambda: nn.Linear(2, 3)
    module.Net = type("Net", (nn.Identity,), {})
    module.network = nn.Linear(2, 3)
    assert isinstance(build_model("nets:build", classes=3, channels=1), nn.Linear)
    assert isinstance(build_model("nets:Net", classes=3, channels=1), module.Net)
    assert build_model("nets:network", classes=3, channels=1) is module.network


def test_the_weights_of_a_factory_are_seeded_too(module):
    module.build = lambda: nn.Linear(2, 3)
    one, two = (build_model("nets:build", classes=3, channels=1, seed=4) for _ in range(2))
    assert torch.equal(one.get_parameter("weight"), two.get_parameter("weight"))


def test_factories_that_do_not_make_a_network_are_refused(module):
    module.number = 3
    module.nothing = lambda: None
    module.two = lambda one, two: nn.Identity()
    module.broken = lambda: nn.Linear(-1, 2)
    with pytest.raises(ModelError, match=r"'nets:number' to be, or to return, a torch.*got int"):
        build_model("nets:number", classes=3, channels=1)
    with pytest.raises(ModelError, match="got NoneType"):
        build_model("nets:nothing", classes=3, channels=1)
    with pytest.raises(SettingError, match=r"model 'nets:two' failed: TypeError: .*missing 2"):
        build_model("nets:two", classes=3, channels=1)
    with pytest.raises(SettingError, match="model 'nets:broken' failed: RuntimeError"):
        build_model("nets:broken", classes=3, channels=1)
    with pytest.raises(SettingError, match="nowhere_at_all"):
        build_model("nowhere_at_all:build", classes=3, channels=1)


LOGITS = torch.tensor([[0.0, 1.0]])
Output = namedtuple("Output", ["logits", "aux"])


@pytest.mark.parametrize(
    "output",
    [
        LOGITS,
        {"logits": LOGITS, "loss": None},
        SimpleNamespace(logits=LOGITS),
        Output(LOGITS, None),
        (LOGITS, torch.zeros(3)),
        [LOGITS],
        LOGITS.half(),
    ],
)
def test_logits_are_found(output):
    assert torch.equal(logits_of(output).float(), LOGITS)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (None, "Expected the network to return logits: .* got NoneType"),
        ({"out": LOGITS}, "got dict"),
        ((), "got tuple"),
        ("logits", "got str"),
        (torch.zeros(3), r"\[batch, classes\], got torch.float32 of shape \[3\]"),
        (torch.zeros(1, 2, 4, 4), r"of shape \[1, 2, 4, 4\]"),
        (torch.zeros(1, 2, dtype=torch.int64), r"got torch.int64 of shape \[1, 2\]"),
    ],
)
def test_other_outputs_are_refused(output, words):
    with pytest.raises(ModelError, match=words):
        logits_of(output)


def test_a_fitting_network_passes_unchanged(linear):
    linear.train()
    linear[1].eval()
    modes = [part.training for part in linear.modules()]
    weight = linear[1].weight.clone()
    check_network(linear, torch.rand(2, 3, 2, 2), 3)
    assert [part.training for part in linear.modules()] == modes
    assert torch.equal(linear[1].weight, weight)
    assert linear[1].weight.grad is None
    assert torch.is_grad_enabled()


def test_it_runs_once_in_evaluation_mode_without_gradients(linear):
    seen = []
    linear.register_forward_hook(
        lambda part, inputs, output: seen.append((part.training, output.requires_grad))
    )
    linear.train()
    check_network(linear, torch.rand(2, 3, 2, 2), 3)
    assert seen == [(False, False)]


def test_batch_statistics_stay():
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten()).train()
    check_network(network, torch.rand(2, 1, 2, 2), 4)
    assert network[0].num_batches_tracked == 0


def test_more_outputs_than_classes_are_allowed(linear):
    check_network(linear, torch.rand(2, 3, 2, 2), 2)
    with pytest.raises(ModelError, match=r"has 3 output\(s\) and the data have 4 classes"):
        check_network(linear, torch.rand(2, 3, 2, 2), 4)


def test_modes_come_back_after_an_error(linear):
    linear.train()
    with pytest.raises(ModelError, match=r"cannot run on inputs of shape \[2, 5\]: RuntimeError: "):
        check_network(linear, torch.rand(2, 5), 3)
    assert all(part.training for part in linear.modules())


def test_a_forward_pass_that_fails_is_quoted_by_its_first_line():
    class Failing(nn.Module):
        def forward(self, inputs):
            raise KeyError("no such layer\nsecond line")

    with pytest.raises(ModelError, match=r"inputs of shape \[1, 2\]: KeyError: ") as refusal:
        check_network(Failing(), torch.zeros(1, 2), 2)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("network", "data"), [(1, 3), (3, 1)])
def test_another_number_of_channels_is_named(network, data):
    model = build_model("squeezenet1_1", classes=2, channels=network)
    words = rf"takes {network} input channel\(s\) and the data have {data}, in inputs of shape \[2,"
    with pytest.raises(ModelError, match=words):
        check_network(model, torch.rand(2, data, 32, 32), 2)


def test_a_mismatch_deeper_in_the_network_is_not_blamed_on_the_data():
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Conv2d(3, 2, 1))
    with pytest.raises(ModelError, match=r"cannot run on inputs of shape \[2, 1, 4, 4\]: "):
        check_network(model, torch.rand(2, 1, 4, 4), 2)


def test_the_error_of_the_normalisation_passes(linear):
    with pytest.raises(ModelError, match=r"Expected inputs of shape \[batch, 3, \.\.\.\]"):
        check_network(normalized(linear, [0.5] * 3, [1.0] * 3), torch.rand(2, 1, 2, 2), 3)


def test_too_small_inputs_are_told():
    network = build_model("inception_v3", classes=2, channels=1)
    with pytest.raises(ModelError, match=r"shape \[2, 1, 32, 32\]: RuntimeError: .*[Kk]ernel size"):
        check_network(network, torch.rand(2, 1, 32, 32), 2)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@settings(max_examples=10, deadline=None)
@given(place=st.integers(0, 35))
def test_broken_weights_are_named(value, place):
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    with torch.no_grad():
        network.get_parameter("1.weight").view(-1)[place] = value
    with pytest.raises(ModelError, match=r"Parameter '1.weight' .* holds NaN or infinite values"):
        check_network(network, torch.rand(2, 3, 2, 2), 3)


def test_broken_statistics_are_named():
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten())
    network.get_buffer("0.running_var").fill_(float("nan"))
    with pytest.raises(ModelError, match=r"Buffer '0.running_var' of the network holds NaN"):
        check_network(network, torch.rand(2, 1, 2, 2), 2)


def test_logits_that_are_not_finite_are_refused(linear):
    with pytest.raises(ModelError, match="returns NaN or infinite logits"):
        check_network(linear, torch.full((2, 3, 2, 2), float("inf")), 3)


def test_another_number_of_rows_is_refused():
    with pytest.raises(
        ModelError, match=r"one row for each of the 2 inputs, got float32 of shape \[1, 2\]"
    ):
        check_network(nn.Unflatten(0, (1, 2)), torch.zeros(2), 2)


@pytest.mark.parametrize(
    "network", [nn.LazyLinear(2), nn.Linear(2, 2, device="meta")], ids=["lazy", "meta"]
)
def test_a_network_without_values_is_refused(network):
    with pytest.raises(ModelError, match="Parameter 'weight' of the network holds no values yet"):
        check_network(network, torch.zeros(1, 2), 2)
