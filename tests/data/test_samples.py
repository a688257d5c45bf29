import hashlib
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from hormesis.data.samples import Samples, check_form, randomize_order, samples_from, take
from hormesis.data.sampling import balanced_order, draw_balanced, draw_stratified
from hormesis.errors import DataError


def images(count=4, seed=0):
    return torch.rand(count, 1, 2, 2, generator=torch.Generator().manual_seed(seed))


def make(inputs=None, labels=None, bounds=(0.0, 1.0), classes=3, **more):
    inputs = images() if inputs is None else inputs
    labels = torch.tensor([0, 1, 2, 0]) if labels is None else labels
    return Samples(inputs, labels, bounds, classes, "test", **more)


class Counted(Dataset):
    """A dataset that notes which items were read."""

    def __init__(self, inputs, labels, targets=None):
        self.inputs, self.labels, self.read = inputs, labels, []
        if targets is not None:
            self.targets = targets

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        self.read.append(index)
        return self.inputs[index], self.labels[index]


class Stream(IterableDataset):
    def __iter__(self):
        return iter((torch.full((2,), value / 4), value % 2) for value in range(4))


def with_value(value):
    inputs = images()
    inputs[2, 0, 1, 1] = value
    return inputs


TWO = torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("inputs", "labels", "message"),
    [
        (torch.zeros(0, 3), TWO[:0], "at least 2 samples, got an empty set"),
        (torch.zeros(1, 3), TWO[:1], "at least 2 samples, got a single one"),
        (torch.zeros(2, 0), TWO, r"inputs with values, got the shape \(2, 0\)"),
        (torch.zeros(3, 4), TWO, r"inputs of shape \(3, 4\) and labels of shape \(2,\)"),
        (torch.zeros(2, 4), TWO[:, None], r"labels of shape \(2, 1\)"),
        (torch.tensor(1.0), TWO, r"inputs of shape \(\)"),
        (torch.zeros(2, 4), TWO.float(), "`labels` to be a tensor of int64 .* got float32 on cpu"),
        (torch.zeros(2, 4).double(), TWO, "`inputs` to be a tensor of float32 .* got float64"),
        (torch.zeros(2, 4, device="meta"), TWO, "on the CPU, got float32 on meta"),
        (np.zeros((2, 4)), TWO, "got float64; `samples_from` converts"),
        ([[0.0], [1.0]], TWO, "`inputs` to be a tensor.* got list;"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(inputs, labels, message):
    with pytest.raises(DataError, match=message):
        check_form(inputs, labels)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"inputs": images(1), "labels": TWO[:1]}, "a single one"),
        ({"inputs": with_value(float("nan"))}, r"got NaN in sample 2 \(1 such samples\)"),
        ({"inputs": with_value(float("-inf"))}, "got infinity in sample 2"),
        ({"inputs": images() + 1}, r"within the bounds \(0.0, 1.0\).*hormesis.normalized"),
        ({"inputs": with_value(-0.25)}, "values from -0.25 to 0[.]"),
        ({"inputs": with_value(1.5)}, "to 1.5[.] Declare the `bounds` that hold"),
        ({"bounds": (1.0, 1.0)}, r"finite `bounds` from low to high, got \(1.0, 1.0\)"),
        ({"bounds": (0.0, float("inf"))}, "finite `bounds`"),
        ({"bounds": (float("nan"), 1.0)}, "finite `bounds`"),
        ({"labels": torch.tensor([0, 1, 3, 0])}, "from 0 to 2 for 3 classes, got 3 at sample 2"),
        ({"labels": torch.tensor([0, -1, 2, 0])}, "got -1 at sample 1"),
        ({"classes": -1}, "`classes` to be at least 0"),
        ({"mean": (0.5,)}, "a positive `std` for every `mean`"),
        ({"mean": (0.5,), "std": (0.0,)}, "a positive `std`"),
        ({"mean": (0.5,) * 3, "std": (0.5,) * 3}, "one `mean` for each channel, got 3"),
    ],
)
def test_samples_that_break_their_declaration_are_refused(fields, message):
    with pytest.raises(DataError, match=message):
        make(**fields)


def test_values_on_the_bounds_are_inside():
    inputs = images()
    inputs[0, 0] = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    assert len(make(inputs)) == 4


def test_bounds_are_compared_in_float32():
    """0.3 in float32 lies above 0.3, and must still lie within bounds that end at 0.3."""
    samples = make(torch.full((4, 1), 0.3), bounds=(0.1, 0.3))
    assert float(samples.inputs[0, 0]) > 0.3


def test_fingerprint_of_a_tiny_set_is_fixed():
    samples = Samples(torch.tensor([[0.0], [0.5]]), torch.tensor([1, 0]), (0.0, 1.0), 2, "tiny")
    written = b"bounds 0.0 1.0|<f4 (2, 1)|" + struct.pack("<2f", 0.0, 0.5)
    written += b"|<i8 (2,)|" + struct.pack("<2q", 1, 0)
    assert samples.fingerprint() == hashlib.sha256(written).hexdigest()
    assert samples.fingerprint().startswith("9af26352acf38b5f150d764a")


def test_fingerprint_sees_values_labels_shape_and_bounds_but_no_name():
    base = make()
    others = [
        make(images(seed=1)),
        make(images().reshape(4, 4)),
        make(labels=torch.tensor([0, 1, 2, 1])),
        make(bounds=(0.0, 2.0)),
    ]
    prints = {samples.fingerprint() for samples in [base, *others]}
    assert len(prints) == 5
    strided = images().transpose(2, 3).contiguous().transpose(2, 3)
    assert make(strided).fingerprint() == base.fingerprint()
    assert Samples(base.inputs, base.labels, (0.0, 1.0), 9, "x").fingerprint() == base.fingerprint()


# --- stratified ---------------------------------------------------------------------------------


@st.composite
def draws(draw):
    labels = draw(st.lists(st.integers(-2, 6), min_size=2, max_size=80))
    return labels, draw(st.integers(2, len(labels))), draw(st.integers(0, 2**40))


@given(draws())
@settings(deadline=None)
def test_every_class_keeps_its_share_to_within_one_sample(case):
    labels, count, seed = case
    chosen = draw_stratified(torch.tensor(labels), count, seed).tolist()
    assert chosen == sorted(set(chosen))
    assert len(chosen) == count
    for value in set(labels):
        share = count * labels.count(value) / len(labels)
        assert abs([labels[index] for index in chosen].count(value) - share) < 1


@given(draws())
@settings(deadline=None)
def test_the_same_seed_gives_the_same_samples_whatever_the_classes_are_called(case):
    labels, count, seed = case
    first = draw_stratified(torch.tensor(labels), count, seed)
    again = draw_stratified(torch.tensor([2 * value + 100 for value in labels]), count, seed)
    assert first.tolist() == again.tolist()


def test_a_saved_draw_comes_out_again():
    labels = torch.arange(40) % 4
    assert draw_stratified(labels, 6, seed=7).tolist() == [6, 10, 23, 24, 32, 37]


def test_seeds_differ_and_ties_between_classes_go_to_different_ones():
    labels = torch.arange(200).repeat(5)
    draws_ = [draw_stratified(labels, 10, seed) for seed in range(20)]
    assert len({tuple(chosen.tolist()) for chosen in draws_}) == 20
    assert len(set(labels[torch.cat(draws_)].tolist())) > 50


def test_every_sample_can_be_drawn_and_all_of_them_at_once():
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    seen = {index for seed in range(50) for index in draw_stratified(labels, 2, seed).tolist()}
    assert seen == set(range(6))
    assert draw_stratified(labels, 6, seed=3).tolist() == list(range(6))


@pytest.mark.parametrize("count", [-1, 0, 1, 7])
def test_a_count_that_cannot_be_drawn_is_refused(count):
    with pytest.raises(DataError, match=f"`samples` from 2 to 6, the number there is, got {count}"):
        draw_stratified(torch.zeros(6, dtype=torch.int64), count, seed=0)


def test_a_negative_seed_is_refused():
    with pytest.raises(DataError, match="`seed` to be at least 0, got -1"):
        draw_stratified(torch.zeros(6, dtype=torch.int64), 2, seed=-1)


# --- draws --------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 99))
def test_every_beginning_of_the_order_has_every_class_in_its_share(labels, seed):
    order = balanced_order(torch.tensor(labels), seed).tolist()
    assert sorted(order) == list(range(len(labels)))
    for count in range(1, len(labels) + 1):
        here = [labels[index] for index in order[:count]]
        shares = {label: count * labels.count(label) / len(labels) for label in set(labels)}
        for label, share in shares.items():
            # By one sample of its own, and by what the other classes are off together.
            assert abs(here.count(label) - share) <= 1 + len(shares) / 2


def test_equal_classes_have_equal_shares_of_round_draws():
    labels = torch.arange(1000) % 10
    chosen = labels[draw_balanced(labels, 50, seed=3)]
    assert torch.bincount(chosen).tolist() == [5] * 10


@given(st.lists(st.integers(0, 4), min_size=4, max_size=60), st.data(), st.integers(0, 99))
def test_a_smaller_draw_is_the_beginning_of_a_larger(labels, data, seed):
    some, more = sorted(data.draw(st.tuples(*[st.integers(2, len(labels))] * 2)))
    small, large = (draw_balanced(torch.tensor(labels), count, seed) for count in (some, more))
    assert torch.equal(large[:some], small)


def test_every_sample_is_drawn_equally_often():
    labels = torch.tensor([0] * 9 + [1] * 3 + [2])
    counts = torch.zeros(13)
    for seed in range(2000):
        counts[draw_balanced(labels, 4, seed)] += 1
    assert (counts / 2000 - 4 / 13).abs().max() < 0.05


def test_the_order_to_the_letter():
    labels = torch.tensor([0] * 6 + [1] * 3)
    assert balanced_order(labels, seed=7).tolist() == [3, 6, 4, 0, 2, 8, 5, 1, 7]


@pytest.mark.parametrize(("count", "seed"), [(1, 0), (7, 0), (3, -1)])
def test_draws_that_cannot_be_made_are_refused(count, seed):
    with pytest.raises(DataError, match=r"Expected `(samples|seed)`"):
        draw_balanced(torch.zeros(6, dtype=torch.int64), count, seed)


def test_samples_are_mixed_once():
    whole = Samples(images(8), LABELS, (0.0, 1.0), 3, "custom")
    once = randomize_order(whole)
    assert once.places is not None
    assert torch.equal(once.inputs, whole.inputs[once.places])
    assert randomize_order(once) is once
    some = samples_from(whole, count=5, seed=0)
    assert some.places is not None
    assert torch.equal(some.places, once.places[:5])
    assert randomize_order(some) is some
    two = take(once, torch.tensor([4, 1])).places
    assert two is not None
    assert torch.equal(two, once.places[[4, 1]])


# --- samples_from -------------------------------------------------------------------------------

LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])


def kinds():
    inputs = images(8)
    pairs = TensorDataset(inputs, LABELS)
    return {
        "tensors": (inputs, LABELS),
        "list of tensors": [inputs, LABELS],
        "arrays": (inputs.numpy(), LABELS.numpy().astype(np.uint8)),
        "float64": (inputs.double(), LABELS.int()),
        "big-endian": (inputs.numpy().astype(">f8"), LABELS.numpy().astype(">i2")),
        "dataset": pairs,
        "dataset of arrays": Counted(inputs.numpy(), LABELS.tolist()),
        "dataset with targets": Counted(inputs, LABELS, LABELS.tolist()),
        "subset": Subset(pairs, list(range(8))),
        "loader": DataLoader(pairs, batch_size=3),
        "samples": Samples(inputs, LABELS, (0.0, 1.0), 3, "custom"),
    }


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.parametrize("count", [None, 3])
def test_all_kinds_of_data_give_the_same_samples(kind, count):
    expected = Samples(images(8), LABELS, (0.0, 1.0), 3, "custom")
    if count is not None:
        expected = take(expected, draw_balanced(LABELS, count, seed=2))
    samples = samples_from(kinds()[kind], count=count, seed=2)
    assert samples.fingerprint() == expected.fingerprint()
    assert (samples.classes, samples.name) == (3, "custom")
    assert samples.inputs.dtype == torch.float32
    assert samples.labels.dtype == torch.int64


def test_declarations_are_kept():
    pair = (images() * 4 - 2, torch.tensor([0, 1, 0, 1]))
    samples = samples_from(pair, bounds=(-2.0, 2.0), classes=10, name="mine")
    assert (samples.bounds, samples.classes, samples.name) == ((-2.0, 2.0), 10, "mine")
    assert samples_from(samples, bounds=(0.0, 1.0), classes=2) is samples


def test_only_the_drawn_items_of_a_dataset_with_targets_are_read():
    dataset = Counted(images(8), LABELS, LABELS)
    samples_from(dataset, count=3, seed=1)
    assert dataset.read == draw_balanced(LABELS, 3, seed=1).tolist()


def test_a_subset_draws_by_the_labels_of_its_own_items():
    dataset = Counted(images(8), LABELS, LABELS.tolist())
    samples_from(Subset(dataset, [7, 0, 3, 4]), count=2, seed=1)
    chosen = draw_balanced(LABELS[[7, 0, 3, 4]], 2, seed=1)
    assert dataset.read == torch.tensor([7, 0, 3, 4])[chosen].tolist()


@pytest.mark.parametrize("targets", [[{"box": 1}] * 8, [0, 1], "01201201", torch.zeros(8, 2)])
def test_targets_that_are_no_labels_are_not_trusted(targets):
    dataset = Counted(images(8), LABELS, targets)
    samples = samples_from(dataset, count=3, seed=1)
    assert samples.labels.tolist() == LABELS[draw_balanced(LABELS, 3, seed=1)].tolist()


def test_a_loader_is_read_in_its_order_and_once():
    dataset = Counted(images(8), LABELS)
    loader = DataLoader(dataset, 3, shuffle=True, generator=torch.Generator().manual_seed(1))
    samples = samples_from(loader)
    assert sorted(dataset.read) == list(range(8))
    assert dataset.read != list(range(8))
    assert torch.equal(samples.inputs, images(8)[dataset.read])


def test_a_stream_is_read_through_its_loader():
    samples = samples_from(DataLoader(Stream(), batch_size=3))
    assert samples.inputs[:, 0].tolist() == [0.0, 0.25, 0.5, 0.75]
    assert samples.labels.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("kind", "steps"),
    [
        ("dataset", [(number, 8) for number in range(1, 9)]),
        ("loader", [(1, 3), (2, 3), (3, 3)]),
        ("tensors", []),
    ],
)
def test_progress_counts_items_or_batches(kind, steps):
    seen = []
    samples_from(kinds()[kind], progress=lambda done, total: seen.append((done, total)))
    assert seen == steps


def test_gradients_and_read_only_arrays_are_left_behind():
    inputs = images().requires_grad_()
    assert not samples_from((inputs, LABELS[:4])).inputs.requires_grad
    frozen = images().numpy().copy()
    frozen.flags.writeable = False
    assert len(samples_from((frozen, LABELS[:4].numpy()))) == 4


def items(*pairs):
    return Counted([value for value, _ in pairs], [label for _, label in pairs])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("mnist", "Expected a pair .* got the text or path 'mnist'"),
        (None, "a DataLoader or Samples, got NoneType"),
        ((images(), np.array(["a"] * 4)), "labels that are numbers, got texts"),
        ((images() > 0.5, LABELS[:4]), "real numbers, got bool"),
        ((images().numpy().astype(str), LABELS[:4]), "hold numbers, got texts"),
        ((np.full((4, 2), 1e300), LABELS[:4]), "infinity in sample 0"),
        ((np.zeros((0, 2)), np.array([])), "an empty set"),
        ((np.zeros((1, 2)), np.array([0])), "a single one"),
        ((torch.full((4, 2), 255, dtype=torch.uint8), LABELS[:4]), "values from 255 to 255"),
        ((images(), LABELS[:3]), r"one label for each row .* \(4, 1, 2, 2\) .* \(3,\)"),
        (TensorDataset(images(0), LABELS[:0]), "an empty set"),
        (items(("picture", 0), ("picture", 1)), "got texts: .*ToTensor"),
        (
            items((torch.zeros(2), 0), (torch.zeros(3), 1)),
            r"shape \(\(2,\), \(\)\).* got .* \(\(3,\), \(\)\) for item 1",
        ),
        (items((torch.zeros(2), torch.tensor([0, 1]))), "a single one"),
        (
            DataLoader(items((torch.zeros(2), 0), (torch.zeros(3), 1)), 1),
            r"shapes \[\(2,\), \(\)\].* got \[\(3,\), \(\)\] in batch 1",
        ),
    ],
)
def test_data_that_cannot_be_read_is_refused(data, message):
    with pytest.raises(DataError, match=message):
        samples_from(data)


def test_a_value_that_is_not_finite_is_named_by_the_dataset_s_own_number():
    inputs = images(8)
    broken = draw_balanced(LABELS, 3, seed=1)[1]
    inputs[broken] = float("nan")
    with pytest.raises(DataError, match=f"NaN in sample {int(broken)} "):
        samples_from(Counted(inputs, LABELS, LABELS), count=3, seed=1)
