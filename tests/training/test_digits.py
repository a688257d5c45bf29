"""Networks trained on the digits: the same every time, kept, and never in the way."""

import resource
from contextlib import contextmanager

import pytest
import torch
from torch import nn

from hormesis.data.datasets import digits
from hormesis.errors import ModelError
from hormesis.models.normalization import normalized
from hormesis.training import digits as module
from hormesis.training.digits import cache_folder, load_or_train_on_digits, train_on_digits


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "hormesis"


def tiny(seed=0, dropout=0.0):
    """A linear network; its weights depend on ``seed`` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(1024, 10))


def weights(network):
    return torch.cat([value.flatten() for value in network.state_dict().values()])


def calls():
    """A report, and the list that it fills."""
    seen = []
    return (lambda done, total: seen.append((done, total))), seen


@contextmanager
def files_no_larger_than(size):
    """Let the disk be full beyond so many bytes a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_network_learns_and_is_handed_back_ready_to_measure():
    network = tiny()
    report, seen = calls()
    train_on_digits(network, seed=0, report=report)
    held_out = digits("test")
    with torch.no_grad():
        right = (network(held_out.inputs).argmax(dim=1) == held_out.labels).sum()
    assert right > 0.85 * len(held_out)
    assert not any(part.training for part in network.modules())
    assert all(value.grad is None and value.is_contiguous() for value in network.parameters())
    assert seen == [(step, 85) for step in range(1, 86)]  # 5 epochs of 17 batches


def test_the_seed_alone_decides_dropout_included_and_the_global_state_stays():
    trained = []
    for noise in range(2):
        torch.manual_seed(noise)
        before = torch.get_rng_state()
        network = tiny(dropout=0.5)
        train_on_digits(network, seed=3)
        assert torch.equal(torch.get_rng_state(), before)
        trained.append(weights(network))
    assert torch.equal(*trained)
    other = tiny(dropout=0.5)
    train_on_digits(other, seed=4)
    assert not torch.equal(weights(other), trained[0])


def test_a_kept_network_is_read_and_not_trained_again(cache):
    first, second = tiny(), tiny()
    path = load_or_train_on_digits(first, "tiny", seed=0)
    assert path is not None
    assert path.parent == cache
    report, seen = calls()
    assert load_or_train_on_digits(second, "tiny", seed=0, report=report) == path
    assert seen == []
    assert torch.equal(weights(first), weights(second))
    assert not any(part.training for part in second.modules())
    assert list(cache.iterdir()) == [path]


@pytest.mark.parametrize("damage", [b"", b"no weights", None], ids=["empty", "other", "cut"])
def test_a_damaged_file_is_replaced(damage):
    first, second = tiny(), tiny()
    path = load_or_train_on_digits(first, "tiny", seed=0)
    assert path is not None
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    report, seen = calls()
    assert load_or_train_on_digits(second, "tiny", seed=0, report=report) == path
    assert len(seen) == 85
    assert torch.equal(weights(first), weights(second))
    assert path.read_bytes() == whole


def test_whatever_the_weights_depend_on_tells_files_apart(monkeypatch):
    paths = [
        load_or_train_on_digits(tiny(), "tiny", seed=0),
        load_or_train_on_digits(tiny(), "tiny", seed=1),
        load_or_train_on_digits(tiny(seed=1), "tiny", seed=0),
        load_or_train_on_digits(tiny(dropout=0.1), "tiny", seed=0),
        load_or_train_on_digits(normalized(tiny(), (0.3,), (0.3,)), "tiny", seed=0),
        load_or_train_on_digits(normalized(tiny(), (0.2,), (0.3,)), "tiny", seed=0),
        load_or_train_on_digits(tiny(), "timm:ti/ny", seed=0),
    ]
    for name, value in (("PEAK_RATE", 1e-3), ("EPOCHS", 1), ("BATCH", 200)):
        with monkeypatch.context() as changed:
            changed.setattr(module, name, value)
            paths.append(load_or_train_on_digits(tiny(), "tiny", seed=0))
    assert None not in paths
    assert len(set(paths)) == len(paths)


def test_a_cache_that_cannot_be_made_does_not_stop_the_training(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    kept, network = tiny(), tiny()
    train_on_digits(kept, seed=0)
    assert load_or_train_on_digits(network, "tiny", seed=0) is None
    assert torch.equal(weights(network), weights(kept))


def test_a_full_disk_does_not_stop_the_training_and_keeps_nothing(cache):
    network = tiny()
    before = weights(network)
    with files_no_larger_than(1000):
        assert load_or_train_on_digits(network, "tiny", seed=0) is None
    assert not torch.equal(weights(network), before)
    assert list(cache.iterdir()) == []


def test_an_interruption_keeps_nothing(cache, monkeypatch):
    def save(network, path):
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("safetensors.torch.save_model", save)
    with pytest.raises(KeyboardInterrupt):
        load_or_train_on_digits(tiny(), "tiny", seed=0)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(1024, 9)), r"9 output\(s\) .* 10 classes"),
        (nn.Sequential(nn.Flatten(), nn.Linear(3, 10)), r"cannot run on inputs of shape \[2, 1"),
        (nn.Conv2d(3, 10, 3), r"takes 3 input channel\(s\) and the data have 1"),
    ],
    ids=["classes", "shape", "channels"],
)
def test_a_network_that_does_not_fit_the_digits_is_refused(network, message, cache):
    with pytest.raises(ModelError, match=message):
        load_or_train_on_digits(network, "tiny", seed=0)
    assert not cache.exists()


class Exploding(nn.Module):
    """Returns logits that are finite in evaluation mode only."""

    def __init__(self):
        super().__init__()
        self.inner = tiny()

    def forward(self, inputs):
        return self.inner(inputs) * (float("inf") if self.training else 1.0)


def test_a_training_that_diverges_is_refused_and_not_kept(cache):
    with pytest.raises(ModelError, match="diverged: the loss is not finite"):
        load_or_train_on_digits(Exploding(), "tiny", seed=0)
    assert not cache.exists()


def test_the_cache_lies_where_the_user_has_it(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache" / "hormesis"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "hormesis"
