"""Checkpoints as training scripts and attack libraries write them."""

import argparse
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import prune
from torch.optim.swa_utils import AveragedModel

from hormesis.errors import ModelError
from hormesis.models.checkpoint_files import read_checkpoint
from hormesis.models.checkpoints import load_checkpoint, load_weights
from hormesis.models.normalization import normalized

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


class Net(nn.Module):
    """A network with a convolution, batch norm and a last layer."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.conv = nn.Conv2d(3, 2, 3)
            self.norm = nn.BatchNorm2d(2)
            self.head = nn.Linear(2, 3)


def state(seed: int = 1) -> dict[str, torch.Tensor]:
    return dict(Net(seed).state_dict())


def prefixed(entries, prefix):
    return {prefix + name: value for name, value in entries.items()}


def holds(network: nn.Module, entries) -> bool:
    own = network.state_dict()
    return own.keys() == entries.keys() and all(torch.equal(own[n], entries[n]) for n in own)


@pytest.fixture
def save(tmp_path):
    def write(saved, name="w.pt") -> Path:
        torch.save(saved, tmp_path / name)
        return tmp_path / name

    return write


# --- containers and prefixes --------------------------------------------------------------------

CONTAINERS = [
    "ema",
    "model_ema",
    "ema_state_dict",
    "state_dict_ema",
    "params",
    "params_ema",
    "weights",
    "module",
    "student",
    "best_model",
]


@pytest.mark.parametrize("key", CONTAINERS)
def test_a_state_dictionary_is_found_wherever_it_lies(save, key):
    network = Net()
    assert load_weights(network, save({"epoch": 3, key: state(), "optimizer": {"state": {}}})) == ()
    assert holds(network, state())


@pytest.mark.parametrize(
    "prefix",
    [
        "backbone.",
        "module.backbone.",
        "model._orig_mod.",
        "_orig_mod.module.model.",
        "net.model.",
        "encoder.",
        "1.module.",
        "learner.net.",
    ],
)
def test_any_prefix_under_which_the_whole_network_lies_is_stripped(save, prefix):
    network = Net()
    load_weights(network, save({"state_dict": prefixed(state(), prefix)}))
    assert holds(network, state())


def test_an_averaged_model_is_read_without_its_counter(save):
    averaged, network = AveragedModel(Net(1)), Net()
    assert "n_averaged" in averaged.state_dict()
    load_weights(network, save(averaged.state_dict()))
    assert holds(network, state())


def test_what_belongs_to_the_training_is_left_out_in_silence(save):
    beside = {
        "optimizer": {"state": {"momentum": torch.ones(3)}, "param_groups": []},
        "scheduler": {"base": torch.ones(2)},
        "best_acc1": torch.tensor(71.5),
        "epoch": 9,
    }
    extra = {"criterion.weight": torch.ones(3), "val_acc.tp": torch.ones(3, dtype=torch.int64)}
    network = Net()
    path = save({"state_dict": prefixed(state(), "model.") | extra, **beside})
    assert load_weights(network, path) == ()
    assert holds(network, state())


def test_counters_of_a_profiler_within_the_network_are_harmless(save):
    network = Net()
    load_weights(network, save(state() | {"conv.total_ops": torch.zeros(1)}))
    assert holds(network, state())


# --- the choice among several -------------------------------------------------------------------


def test_equal_networks_are_taken_and_the_choice_is_said(save):
    network = Net()
    notes = load_weights(network, save({"model_ema": state(), "model": state()}))
    assert notes == (
        "The weights of w.pt are those under 'model'; those under 'model_ema' are equal.",
    )
    assert holds(network, state())


def test_networks_of_different_values_are_asked_for(save):
    path, network = save({"model": state(1), "model_ema": state(2)}), Net()
    with pytest.raises(
        ModelError,
        match=r"w\.pt' holds several networks of different values, under 'model' and 'model_ema': "
        r"name the one that is meant as `weights_key`, such as 'model_ema'\.",
    ):
        load_weights(network, path)
    assert holds(network, state(0))
    for key, seed in (("model", 1), ("model_ema", 2)):
        notes = load_weights(network, path, key=key)
        assert notes == (f"The weights of w.pt are those under {key!r}, as requested.",)
        assert holds(network, state(seed))


def test_average_weights_without_buffers_are_refused_until_the_key_is_given(save):
    average = {name: value for name, value in state(2).items() if "running" not in name}
    path, network = save({"state_dict": state(1), "ema": average}), Net()
    with pytest.raises(ModelError, match=r"6 unexpected \(ema\.conv\.weight, .*`weights_ignore`"):
        load_weights(network, path)
    load_weights(network, path, key="state_dict")
    assert holds(network, state(1))
    with pytest.raises(ModelError, match=r"2 missing \(norm\.running_mean, norm\.running_var\)"):
        load_weights(network, path, key="ema")


def test_a_prefix_chooses_among_the_networks_of_one_state_dictionary(save):
    both = prefixed(state(1), "student.") | prefixed(state(2), "teacher.module.")
    path, network = save({"state_dict": both}), Net()
    with pytest.raises(
        ModelError, match=r"'state_dict\.student' and 'state_dict\.teacher\.module'"
    ):
        load_weights(network, path)
    for key in ("teacher.module", "state_dict.teacher.module"):
        load_weights(network, path, key=key)
        assert holds(network, state(2))


def test_a_network_beside_a_copy_under_a_prefix(save):
    path, network = save(state(1) | prefixed(state(2), "ema.")), Net()
    with pytest.raises(ModelError, match=r"several networks .*, under no prefix and 'ema'"):
        load_weights(network, path)
    load_weights(network, path, ignore=["ema.*"])
    assert holds(network, state(1))
    load_weights(network, path, key="ema")
    assert holds(network, state(2))


def test_a_key_that_is_not_there_is_refused_with_those_that_are(save):
    path = save({"model": state(), "ema": state(2)})
    with pytest.raises(
        ModelError, match=r"nothing under 'emma', the `weights_key`: choose .*'ema'"
    ):
        load_weights(Net(), path, key="emma")
    with pytest.raises(ModelError, match="under 'ema', the `weights_key`: leave it out"):
        load_weights(Net(), save(state(), "flat.pt"), key="ema")


def test_half_precision_is_another_value(save):
    half = {n: v.half() if v.is_floating_point() else v for n, v in state().items()}
    with pytest.raises(ModelError, match="several networks of different values"):
        load_weights(Net(), save({"model": state(), "half": half}))


def test_containers_that_name_each_other_over_and_over_end(save):
    inner: dict = {"more": torch.ones(2)}
    for _ in range(6):
        inner = {f"name{number}": inner for number in range(40)}
    with pytest.raises(ModelError, match="holds no state dictionary"):
        load_weights(Net(), save(inner))
    own: dict = {"w": torch.ones(1)}
    own["itself"] = own
    with pytest.raises(ModelError, match="does not fit the network"):
        load_weights(Net(), save(own))


def test_masks_of_no_weight_of_the_network_cost_no_memory(save):
    huge = torch.ones(1).expand(10**13)
    with pytest.raises(ModelError, match="2 unexpected"):
        load_weights(Net(), save(state() | {"w_orig": huge, "w_mask": huge}))


# --- what is left out ---------------------------------------------------------------------------


def robustness_layout(seed=1, mean=MEAN, std=STD):
    """The state dict of ``robustness.attacker.AttackerModel`` in ``DataParallel``."""
    buffers = {"new_mean": torch.tensor(mean)[:, None, None]}
    buffers["new_std"] = torch.tensor(std)[:, None, None]
    return {
        **prefixed(buffers, "module.normalizer."),
        **prefixed(state(seed), "module.model."),
        **prefixed(buffers, "module.attacker.normalize."),
        **prefixed(state(seed), "module.attacker.model."),
    }


def test_the_layout_of_robustness_needs_its_normalisation(save):
    path, bare = save({"model": robustness_layout(), "epoch": 1}), Net()
    with pytest.raises(
        ModelError,
        match=r"holds a normalisation for the network, which it has not \(module\.normalizer\."
        r"new_mean.*\): put it in front with `mean` 0\.485 0\.456 0\.406 and `std` 0\.229 0\.224 "
        r"0\.225, or leave it out with `weights_ignore`, such as 'module\.normalizer\.\*'\.",
    ):
        load_weights(bare, path)
    notes = load_weights(normalized(bare, MEAN, STD), path)
    assert notes == (
        "The weights of w.pt are those under 'model.module.model'; those under "
        "'model.module.attacker.model' are equal.",
    )
    assert holds(bare, state())


def test_another_normalisation_than_the_one_in_front_is_refused(save):
    path = save({"model": robustness_layout()})
    with pytest.raises(ModelError, match=r"another than it has .*`mean` 0\.485 0\.456 0\.406"):
        load_weights(normalized(Net(), [0.5] * 3, [0.5] * 3), path)


def test_a_normalisation_may_be_left_out_on_purpose(save):
    network = Net()
    notes = load_weights(network, save(robustness_layout()), ignore=["*.normalize*"])
    assert notes[1] == (
        "Entries of w.pt were left out, as requested (module.normalizer.new_mean, "
        "module.normalizer.new_std, module.attacker.normalize.new_mean, ...)."
    )
    assert holds(network, state())


@pytest.mark.parametrize(
    "buffers",
    [
        {"mu": torch.tensor(MEAN).view(1, 3, 1, 1), "sigma": torch.tensor(STD).view(1, 3, 1, 1)},
        {"normalize.mean": torch.tensor(MEAN), "normalize.std": torch.tensor(STD)},
        {"0.mean": torch.tensor(MEAN), "0.std": torch.tensor(STD)},
    ],
    ids=["mu", "normalize", "sequential"],
)
@pytest.mark.parametrize("prefix", ["", "model.", "1."])
def test_normalisers_of_other_libraries_are_noticed(save, buffers, prefix):
    path = save(prefixed(state(), prefix) | buffers)
    with pytest.raises(ModelError, match="holds a normalisation for the network, which it has not"):
        load_weights(Net(), path)
    network = normalized(Net(), MEAN, STD)
    load_weights(network, path)
    assert holds(network.network, state())


def test_a_normalisation_beside_the_state_dictionary_is_noticed(save):
    path = save({"model": state(), "mean": torch.tensor(MEAN), "std": torch.tensor(STD)})
    with pytest.raises(ModelError, match=r"which it has not \(mean, std\)"):
        load_weights(Net(), path)


def test_a_head_beside_the_network_is_named(save):
    head = {"weight": torch.ones(5, 3), "bias": torch.ones(5)}
    path, network = save({"model": state(), "classifier": head}), Net()
    with pytest.raises(
        ModelError,
        match=r"2 unexpected \(classifier\.weight, classifier\.bias\)\. Build .*, or leave them "
        r"out with `weights_ignore`, such as 'classifier\.\*'\.",
    ):
        load_weights(network, path)
    load_weights(network, path, ignore=["classifier.*"])
    assert holds(network, state())


def test_a_pattern_that_matches_nothing_is_refused(save):
    with pytest.raises(
        ModelError, match=r"holds no entry 'haed\.\*' to ignore; it has conv\.weight"
    ):
        load_weights(Net(), save(state()), ignore=["haed.*"])


# --- pruned weights -----------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "module."])
def test_pruned_weights_are_multiplied_by_their_masks(save, prefix):
    pruned, network = Net(1), Net()
    prune.l1_unstructured(pruned.conv, "weight", amount=0.5)
    prune.random_unstructured(pruned.head, "bias", amount=1)
    notes = load_weights(network, save(prefixed(pruned.state_dict(), prefix)))
    assert torch.equal(network.conv.weight, pruned.conv.weight)
    assert int((network.conv.weight == 0).sum()) == 27
    assert torch.equal(network.head.bias, pruned.head.bias)
    names = f"{prefix}conv.weight, {prefix}head.bias"
    assert notes == (f"Pruned weights of w.pt were multiplied by their masks ({names}).",)


def test_a_network_that_is_pruned_itself_takes_both_parts(save):
    pruned, network = Net(1), Net()
    for each in (pruned, network):
        prune.l1_unstructured(each.conv, "weight", amount=0.5)
    assert load_weights(network, save(pruned.state_dict())) == ()
    assert holds(network, dict(pruned.state_dict()))


# --- shards -------------------------------------------------------------------------------------


@pytest.fixture
def shards(tmp_path):
    """A folder with the network in two shards, as transformers writes it."""
    folder = tmp_path / "sharded"
    folder.mkdir()
    entries = state()
    names = list(entries)
    places = {
        name: f"model-0000{1 + (number > 3)}.safetensors" for number, name in enumerate(names)
    }
    for place in set(places.values()):
        own = {name: entries[name] for name in names if places[name] == place}
        save_file(own, folder / place)
    write_index(folder, places)
    return folder


def write_index(folder, places):
    text = json.dumps({"metadata": {"total_size": 1}, "weight_map": places})
    (folder / "model.safetensors.index.json").write_text(text)


def weight_map(folder):
    return json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]


def test_shards_are_read_from_their_folder_and_from_their_index(shards):
    for path in (shards, str(shards), shards / "model.safetensors.index.json"):
        network = Net()
        load_weights(network, path)
        assert holds(network, state())


def test_a_folder_with_one_file_of_weights_is_read(tmp_path):
    save_file(state(), tmp_path / "model.safetensors")
    assert load_checkpoint(tmp_path).keys() == state().keys()


@pytest.mark.parametrize(
    "name",
    [
        "../outside.safetensors",
        "/tmp/outside.safetensors",
        "a/b.safetensors",
        "..\\outside.safetensors",
        "C:outside.safetensors",
        "..",
        "",
        "x.json",
        3,
    ],
)
def test_no_shard_lies_outside_of_the_folder(shards, name):
    save_file(state(), shards.parent / "outside.safetensors")
    write_index(shards, dict.fromkeys(state(), name))
    with pytest.raises(ModelError, match=r"is refused, as its shard '.*' is no file beside it"):
        load_checkpoint(shards)


def test_a_missing_shard_is_named(shards):
    (shards / "model-00002.safetensors").unlink()
    with pytest.raises(ModelError, match=r"model-00002\.safetensors' does not exist"):
        load_checkpoint(shards)


@pytest.mark.parametrize("change", ["more", "fewer"])
def test_an_index_that_disagrees_with_its_shards_is_refused(shards, change):
    places = weight_map(shards)
    if change == "more":
        places["other"] = "model-00001.safetensors"
    else:
        del places["head.bias"]
    write_index(shards, places)
    with pytest.raises(ModelError, match=r"disagree on '(other|head\.bias)'"):
        load_checkpoint(shards)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"weight_map": []}', "[" * 100_000, "\0"])
def test_an_index_that_is_none_is_refused(shards, text):
    (shards / "model.safetensors.index.json").write_text(text)
    with pytest.raises(ModelError, match=r"is empty|is damaged|has no `weight_map`"):
        load_checkpoint(shards)


def test_a_folder_of_several_indices_asks_for_one(shards):
    index = shards / "model.safetensors.index.json"
    for name in ("a.safetensors.index.json", "b.safetensors.index.json"):
        (shards / name).write_text(index.read_text())
    index.unlink()
    with pytest.raises(ModelError, match=r"several checkpoints: name one of a\.safetensors\.index"):
        load_checkpoint(shards)


# --- metadata that torch.load refuses -----------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "metadata"),
    [
        ("argparse.Namespace", argparse.Namespace(lr=0.1)),
        (r"numpy\._core\.multiarray\.scalar, numpy\.dtype", np.float64(0.9)),
        (r"pathlib\.\S*PosixPath", Path("data")),
    ],
)
def test_harmless_metadata_come_with_the_line_that_converts_the_file(save, kind, metadata):
    path = save({"model": state(), "optimizer": {"lr": metadata}, "args": metadata})
    with pytest.raises(ModelError, match=rf"w\.pt' holds {kind} beside its weights") as refusal:
        read_checkpoint(path)
    assert "If you trust the file" in str(refusal.value)
    line = re.search(r"import torch; .*", str(refusal.value))
    assert line is not None
    exec(line[0], {})  # as its reader would
    network = Net()
    load_weights(network, path.with_name("w-tensors.pt"))
    assert holds(network, state())


def test_no_line_is_offered_for_code(save, tmp_path):
    class Payload:
        def __reduce__(self):
            return (exec, (f"open({str(tmp_path / 'was-run')!r}, 'w')",))

    path = save({"model": state(), "args": argparse.Namespace(hook=Payload())})
    with pytest.raises(ModelError, match=r"was refused, as reading it would run") as refusal:
        read_checkpoint(path)
    assert "import torch" not in str(refusal.value)
    assert not (tmp_path / "was-run").exists()
