import errno
import io
import os
import pickle
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from hormesis.errors import ModelError
from hormesis.models.checkpoints import load_checkpoint, load_weights
from hormesis.models.normalization import normalized


class Net(nn.Module):
    """A network with a convolution, batch norm and a last layer."""

    def __init__(self, classes: int = 3, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.conv = nn.Conv2d(1, 2, 3)
            self.norm = nn.BatchNorm2d(2)
            self.head = nn.Linear(2, classes)

    def forward(self, inputs):
        return self.head(self.norm(self.conv(inputs)).mean((2, 3)))


def state(seed: int = 1, classes: int = 3) -> dict[str, torch.Tensor]:
    return dict(Net(classes, seed).state_dict())


def snapshot(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


def prefixed(entries, prefix):
    return {prefix + name: value for name, value in entries.items()}


def lightning(entries):
    return {
        "epoch": 4,
        "global_step": 500,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": entries,
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_score": torch.tensor(0.5)}},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": []}],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": {"lr": 1e-3, "name": "resnet"},
    }


@pytest.fixture
def save(tmp_path):
    def write(saved, name="weights.pt", **options):
        path = tmp_path / name
        if path.suffix == ".safetensors":
            save_file(saved, path)
        else:
            torch.save(saved, path, **options)
        return path

    return write


@pytest.mark.parametrize(
    "name", ["w.pt", "w.pth", "w.bin", "w.PT", "w.pth.tar", "w.ckpt", "w.safetensors"]
)
def test_every_format_comes_back_bit_for_bit(save, name):
    entries = state()
    assert equal(load_checkpoint(save(entries, name)), entries) or name == "w.safetensors"
    loaded = load_checkpoint(str(save(entries, name)))
    assert equal(dict(sorted(loaded.items())), dict(sorted(entries.items())))
    network = Net()
    load_weights(network, save(entries, name))
    assert equal(dict(network.state_dict()), entries)


def test_the_older_format_is_read(save):
    path = save(state(), _use_new_zipfile_serialization=False)
    assert equal(load_checkpoint(path), state())


@settings(max_examples=30, deadline=None)
@given(
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
    values=st.lists(st.floats(-1e4, 1e4), max_size=6),
    suffix=st.sampled_from([".pt", ".safetensors"]),
)
def test_round_trip_of_any_values(tmp_path_factory, dtype, values, suffix):
    path = tmp_path_factory.mktemp("values") / f"w{suffix}"
    entries = {"a.weight": torch.tensor(values, dtype=dtype), "b": torch.tensor(3)}
    save_file(entries, path) if suffix == ".safetensors" else torch.save(entries, path)
    assert equal(dict(sorted(load_checkpoint(path).items())), entries)


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict", "net", "network"])
def test_a_wrapped_state_dictionary_is_found(save, key):
    assert equal(load_checkpoint(save({"epoch": 3, key: state(), "optimizer": {}})), state())


def test_twice_wrapped_is_found(save):
    assert equal(load_checkpoint(save({"model": {"state_dict": state()}})), state())


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "module.",
        "model.",
        "net.",
        "network.",
        "_orig_mod.",
        "module._orig_mod.",
        "_orig_mod.module.",
        "model._orig_mod.",
        "model.network.",
    ],
)
def test_prefixes_are_stripped(save, prefix):
    network = Net()
    load_weights(network, save(prefixed(state(), prefix)))
    assert equal(dict(network.state_dict()), state())


def test_compiled_parts_are_understood_on_both_sides(save):
    names = {name.replace("conv.", "conv._orig_mod."): value for name, value in state().items()}
    network = Net()
    load_weights(network, save(names))
    assert equal(dict(network.state_dict()), state())
    compiled = torch.compile(Net())
    assert isinstance(compiled, nn.Module)
    load_weights(compiled, save(state()))
    assert equal(
        {k.removeprefix("_orig_mod."): v for k, v in compiled.state_dict().items()}, state()
    )


def test_a_name_that_the_network_has_is_no_prefix(save):
    class Wrapper(nn.Module):
        def __init__(self, seed):
            super().__init__()
            self.model = Net(seed=seed)

    network = Wrapper(0)
    load_weights(network, save(Wrapper(1).state_dict()))
    assert equal(dict(network.state_dict()), prefixed(state(), "model."))


def test_a_lightning_checkpoint_with_a_metric_and_a_loss(save):
    extra = {"loss.weight": torch.ones(3), "accuracy.tp": torch.tensor(7)}
    path = save(lightning(prefixed(state(), "model.") | extra), "last.ckpt")
    network = Net()
    load_weights(network, path)
    assert equal(dict(network.state_dict()), state())


def test_a_normalised_network_takes_both_kinds_of_names(save):
    for entries in (state(), prefixed(state(), "network.")):
        network = normalized(Net(), [0.5], [0.5])
        load_weights(network, save(entries))
        assert equal(dict(network.network.state_dict()), state())


def test_weights_are_cast_to_the_networks_precision(save):
    half = {name: v.half() if v.is_floating_point() else v for name, v in state().items()}
    network = Net()
    load_weights(network, save(half))
    assert network.conv.weight.dtype is torch.float32
    assert torch.equal(network.conv.weight, half["conv.weight"].float())


def test_modes_gradients_and_memory_of_the_network_stay(save):
    network = Net().eval()
    network.conv.weight.requires_grad_(False)
    address = network.conv.weight.data_ptr()
    load_weights(network, save(state()))
    assert not network.training
    assert not network.conv.weight.requires_grad
    assert network.head.weight.requires_grad
    assert network.conv.weight.data_ptr() == address


def test_missing_batch_counts_are_fine(save):
    entries = {k: v for k, v in state().items() if not k.endswith("num_batches_tracked")}
    network = Net()
    load_weights(network, save(entries))
    assert torch.equal(network.head.weight, state()["head.weight"])


def test_tied_weights_saved_under_one_name_are_fine(save):
    network = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    network[1].weight = network[0].weight
    load_weights(network, save({"0.weight": torch.ones(2, 2)}))
    assert torch.equal(network.get_parameter("1.weight"), torch.ones(2, 2))


def test_auxiliary_heads_are_left_out(save):
    network = Net()
    load_weights(network, save(state() | {"aux1.fc.weight": torch.ones(1)}))
    assert equal(dict(network.state_dict()), state())


NAN = float("nan")
WRONG = {
    "missing": (
        {k: v for k, v in state().items() if not k.startswith("norm")},
        r"4 missing \(norm.weight, norm.bias, norm.running_mean, \.\.\.\)",
    ),
    "unexpected": (state() | {"conv2.weight": torch.ones(1)}, r"1 unexpected \(conv2.weight\)"),
    "beside the network": (
        prefixed(state(), "model.") | {"model.extra": torch.ones(1)},
        r"1 unexpected \(extra\)",
    ),
    "shape": (
        state() | {"conv.weight": torch.ones(2, 3, 3, 3)},
        r"1 of another shape \(conv.weight is \[2, 3, 3, 3\] in the file and \[2, 1, 3, 3\]",
    ),
    "classes": (
        state(classes=5),
        r"2 of another shape .*last layer of the file has 5 outputs, the network's 3",
    ),
    "kind": (
        state() | {"conv.bias": torch.ones(2, dtype=torch.int64)},
        r"1 of another kind of number \(conv.bias is torch.int64",
    ),
    "other network": (
        {name.replace(".", "_"): value for name, value in state().items()},
        r"8 missing .*; 8 unexpected",
    ),
    "nan": (
        state() | {"head.bias": torch.tensor([0.0, NAN, 0.0])},
        "infinite values in 'head.bias'",
    ),
    "inf": (
        state() | {"conv.weight": torch.full((2, 1, 3, 3), float("inf"))},
        "infinite values in 'conv.weight'",
    ),
    "too large for the precision": (
        state() | {"conv.bias": torch.full((2,), 1e300, dtype=torch.float64)},
        "infinite values in 'conv.bias'",
    ),
    "nan in a buffer": (
        state() | {"norm.running_var": torch.tensor([NAN, 1.0])},
        "infinite values in 'norm.running_var'",
    ),
    "two networks": (
        prefixed(state(), "model.") | prefixed(state(2), "net."),
        r"several networks of different values, under 'model' and 'net': name the one that is "
        r"meant as `weights_key`, such as 'net'",
    ),
    "compiled and not": (
        state() | prefixed(state(2), "_orig_mod."),
        "several networks, with and without '_orig_mod.'",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_named_and_nothing_changes(save, case):
    entries, words = WRONG[case]
    network = Net()
    before = snapshot(network)
    with pytest.raises(ModelError, match=words) as refusal:
        load_weights(network, save(entries, "odd.pt"))
    assert "odd.pt" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert equal(snapshot(network), before)


def test_infinite_values_in_a_buffer_may_be_meant(save):
    network = nn.Linear(1, 1)
    network.register_buffer("mask", torch.zeros(2))
    mask = torch.tensor([0.0, float("-inf")])
    load_weights(network, save({"weight": torch.ones(1, 1), "bias": torch.ones(1), "mask": mask}))
    assert torch.equal(network.get_buffer("mask"), mask)


@pytest.mark.parametrize(
    "network", [nn.LazyLinear(2), nn.Linear(2, 2, device="meta")], ids=["lazy", "meta"]
)
def test_a_network_without_memory_is_refused(save, network):
    with pytest.raises(ModelError, match="Parameter 'weight' of the network has no memory yet"):
        load_weights(network, save({"weight": torch.ones(2, 2), "bias": torch.ones(2)}))


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.bin", "w.ckpt"])
@pytest.mark.parametrize("new", [True, False])
def test_a_pickle_that_wants_to_run_code_is_refused(save, tmp_path, name, new):
    target = tmp_path / "was-run"
    path = save(
        {"state_dict": state(), "hook": Payload(target)}, name, _use_new_zipfile_serialization=new
    )
    with pytest.raises(ModelError, match=r"refused, as reading it would run '\w+\.mkdir'.*save"):
        load_checkpoint(path)
    assert not target.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_plain_pickle_is_refused(tmp_path, protocol, suffix):
    target = tmp_path / "was-run"
    path = tmp_path / f"w{suffix}"
    path.write_bytes(pickle.dumps({"a": Payload(target)}, protocol=protocol))
    with pytest.raises(ModelError, match=r"was refused|is damaged"):
        load_checkpoint(path)
    assert not target.exists()


def test_a_whole_network_is_refused(save):
    with pytest.raises(ModelError, match=r"refused, as reading it would run '.*Net': save `model"):
        load_checkpoint(save(Net()))


def test_a_torchscript_program_is_refused(tmp_path):
    path = tmp_path / "w.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w/constants.pkl", b"\x80\x02).")
        archive.writestr("w/data.pkl", b"\x80\x02}.")
        archive.writestr("w/version", b"3\n")
    with pytest.raises(ModelError, match="TorchScript program"):
        load_checkpoint(path)


@pytest.mark.parametrize("name", ["new.pt", "old.pt", "w.safetensors"])
def test_a_file_cut_short_anywhere_is_refused(save, tmp_path, name):
    options = {"_use_new_zipfile_serialization": False} if name == "old.pt" else {}
    whole = save(state(), name, **options).read_bytes()
    lengths = {1, 2, 3, 8, 9, 64, 100, *range(150, len(whole), max(1, len(whole) // 40))}
    path = tmp_path / f"cut-{name}"
    for length in sorted(lengths | {len(whole) - 1}):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError, match=rf"cut-{name}' (is damaged|was refused)") as refusal:
            load_checkpoint(path)
        assert "\n" not in str(refusal.value)
    path.write_bytes(b"")
    with pytest.raises(ModelError, match="is empty"):
        load_checkpoint(path)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), name=st.sampled_from(["new.pt", "old.pt", "w.safetensors"]))
def test_changed_bytes_give_tensors_or_one_sentence(data, name, tmp_path_factory):
    path = tmp_path_factory.mktemp("changed") / name
    entries = {"weight": torch.ones(2, 2), "bias": torch.ones(2)}
    if name == "w.safetensors":
        save_file(entries, path)
    else:
        torch.save(entries, path, _use_new_zipfile_serialization=name == "new.pt")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        # The old format holds addresses: its length may differ between examples.
        place = data.draw(st.integers(0, 1 << 16)) % len(content)
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    network = nn.Linear(2, 2)
    before = snapshot(network)
    try:
        load_weights(network, path)
    except ModelError as error:
        refusal = str(error)
    else:
        return
    assert name in refusal
    assert equal(snapshot(network), before)


@pytest.mark.parametrize(
    "content", [b"<html>not found</html>", b"version 1\noid sha256:0\n", b"\0"]
)
@pytest.mark.parametrize("suffix", [".pt", ".ckpt", ".safetensors"])
def test_other_files_are_refused(tmp_path, content, suffix):
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="is damaged, cut short, or no checkpoint"):
        load_checkpoint(path)


def test_an_archive_that_unpacks_to_more_than_its_size_is_refused(tmp_path):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data.pkl", b"\x80\x02}.")
        archive.writestr("bomb/data/0", bytes(10_000_000))
    assert path.stat().st_size < 20_000
    with pytest.raises(ModelError, match=r"unpacks to 10,000,\d+ bytes, more than its own size"):
        load_checkpoint(path)


def test_a_header_that_claims_too_much_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", 2**62) + b"{}")
    with pytest.raises(ModelError, match="is damaged"):
        load_checkpoint(path)


def test_a_tensor_spread_over_one_value_costs_no_memory(save):
    huge = torch.zeros(1).expand(10**13)
    with pytest.raises(ModelError, match=r"weight is \[10000000000000\] in the file"):
        load_weights(nn.Linear(2, 2), save({"weight": huge, "bias": torch.ones(2)}))


@pytest.mark.parametrize(
    ("saved", "words"),
    [
        ({"epoch": 3, "history": {"a": [1.0]}}, "but the entries epoch, history"),
        ({}, "but an empty dictionary"),
        ([torch.ones(1)], "but a list"),
        (torch.ones(1), "but a Tensor"),
        ({"state_dict": {}}, "but the entries state_dict"),
        ({3: torch.ones(1)}, "but the entries 3"),
    ],
)
def test_a_file_without_a_state_dictionary_is_refused(save, saved, words):
    with pytest.raises(ModelError, match=f"holds no state dictionary {words}: save"):
        load_checkpoint(save(saved))


def test_an_empty_safetensors_file_is_refused(save):
    with pytest.raises(ModelError, match="holds no state dictionary"):
        load_checkpoint(save({}, "w.safetensors"))


@pytest.mark.parametrize(
    "value", [torch.ones(2, 2).to_sparse(), torch.ones(2, device="meta")], ids=["sparse", "meta"]
)
def test_tensors_without_plain_values_are_refused(save, value):
    with pytest.raises(ModelError, match="holds no plain values for 'weight'"):
        load_checkpoint(save({"weight": value}))


def test_missing_files_folders_and_other_suffixes_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"nowhere\.pt' does not exist"):
        load_checkpoint(tmp_path / "nowhere.pt")
    with pytest.raises(ModelError, match="got the folder"):
        load_checkpoint(tmp_path)
    (tmp_path / "w.h5").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"w\.h5' to end with one of \.safetensors, \.pt"):
        load_checkpoint(tmp_path / "w.h5")
    with pytest.raises(ModelError, match="cannot be read"):
        load_checkpoint(tmp_path / ("x" * 5000 + ".pt"))


def test_a_symlink_loop_and_a_pipe_are_refused(tmp_path):
    (tmp_path / "loop.pt").symlink_to(tmp_path / "loop.pt")
    os.mkfifo(tmp_path / "pipe.pt")
    for name in ("loop.pt", "pipe.pt"):
        with pytest.raises(ModelError, match=r"a pipe or a device|does not exist|cannot be read"):
            load_checkpoint(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_refused(save):
    path = save(state())
    path.chmod(0)
    with pytest.raises(ModelError, match="permission denied"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EIO, os.strerror(errno.EIO)), "cannot be read: input/output error"),
        (
            RuntimeError("unable to open file <w> in read-only mode: Too many open files (24)"),
            "cannot be read: too many open files",
        ),
        (FileNotFoundError("No such file or directory: w"), "cannot be opened"),  # of safetensors
        (OSError(errno.EINVAL, "negative seek"), "is damaged, cut short, or no checkpoint"),
    ],
)
def test_what_the_disk_does_is_not_taken_for_damage(save, monkeypatch, error, said):
    def failing(*given, **options):
        raise error

    path = save(state())
    monkeypatch.setattr("hormesis.models.checkpoints.torch.load", failing)
    with pytest.raises(ModelError, match=said):
        load_checkpoint(path)


def test_values_are_on_the_cpu_without_gradients(save):
    loaded = load_checkpoint(save({"weight": nn.Parameter(torch.ones(2))}))
    assert loaded["weight"].device.type == "cpu"
    assert not loaded["weight"].requires_grad


def test_saving_to_a_buffer_is_the_same_as_to_a_file(tmp_path):
    buffer = io.BytesIO()
    torch.save(state(), buffer)
    path = tmp_path / "w.pt"
    path.write_bytes(buffer.getvalue())
    assert equal(load_checkpoint(path), state())
