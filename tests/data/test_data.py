import os
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torchvision import datasets
from torchvision.transforms import ToTensor

from hormesis.data.datasets import NAMED_DATASETS, digits, load_data
from hormesis.data.samples import take
from hormesis.data.sampling import draw_balanced, draw_stratified
from hormesis.errors import DataError, SettingError

DATA = os.environ.get("HORMESIS_DATA")
needs_data = pytest.mark.skipif(DATA is None, reason="HORMESIS_DATA names no folder of data sets")

# --- digits -------------------------------------------------------------------------------------


def test_the_parts_of_digits_are_all_of_it_and_share_nothing():
    train, test = digits("train"), digits("test")
    assert (len(train), len(test)) == (1617, 180)
    assert train.inputs.shape == (1617, 1, 32, 32)
    rows = {row.numpy().tobytes() for row in torch.cat([train.inputs, test.inputs])}
    assert len(rows) == 1797
    assert torch.bincount(test.labels).tolist() == [18] * 10


def test_the_held_out_digits_are_always_these():
    assert digits().labels[:12].tolist() == [2, 3, 1, 3, 0, 0, 8, 3, 9, 7, 4, 2]
    expected = "621bbb743906ba010f07159ed4ea47b3d16425a80575e3ff03b7555f2129e160"
    assert digits().fingerprint() == expected


def test_the_held_out_digits_do_not_depend_on_the_study_s_seed():
    whole = digits("test").fingerprint()
    assert load_data("digits", seed=0).fingerprint() == whole
    assert load_data("digits", seed=99).fingerprint() == whole
    every = load_data("digits", samples=180, seed=99)
    assert every.places is not None
    assert take(every, every.places.argsort()).fingerprint() == whole


def test_digits_are_the_8x8_images_interpolated_between_pixel_centres():
    """One image against a plain loop over pixels (bilinear, edges repeated)."""
    held_out = digits("test")
    raw: Any = load_digits()
    small = raw.images[int(draw_stratified(torch.from_numpy(raw.target), 180, seed=0)[0])] / 16
    expected = np.empty((32, 32))
    for row in range(32):
        for column in range(32):
            y, x = (min(max((value + 0.5) / 4 - 0.5, 0), 7) for value in (row, column))
            top, left = int(y), int(x)
            below, right = min(top + 1, 7), min(left + 1, 7)
            upper = small[top, left] * (1 - (x - left)) + small[top, right] * (x - left)
            lower = small[below, left] * (1 - (x - left)) + small[below, right] * (x - left)
            expected[row, column] = upper * (1 - (y - top)) + lower * (y - top)
    assert np.array_equal(held_out.inputs[0, 0].numpy(), expected)


def test_the_normalisation_of_digits_is_that_of_the_training_part():
    pixels = digits("train").inputs.double()
    (mean,), (std,) = NAMED_DATASETS["digits"].mean, NAMED_DATASETS["digits"].std
    assert (mean, std) == (round(float(pixels.mean()), 4), round(float(pixels.std()), 4))
    assert (digits().mean, digits().std) == ((mean,), (std,))


def test_another_part_of_digits_is_refused():
    with pytest.raises(DataError, match=r"Unknown split of digits 'trian'. Did you mean train\?"):
        digits("trian")


# --- torchvision's sets -------------------------------------------------------------------------


def write_idx(path, array):
    """Write an array in the format of MNIST."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(
        size.to_bytes(4, "big") for size in array.shape
    )
    path.write_bytes(header + array.astype(np.uint8).tobytes())


@pytest.fixture
def mnist_root(tmp_path):
    """MNIST's files with 20 images a part, also under the name of Fashion-MNIST."""
    random = np.random.default_rng(0)
    for name in ("MNIST", "FashionMNIST"):
        raw = tmp_path / name / "raw"
        raw.mkdir(parents=True)
        for part in ("train", "t10k"):
            write_idx(raw / f"{part}-images-idx3-ubyte", random.integers(0, 256, (20, 28, 28)))
            write_idx(raw / f"{part}-labels-idx1-ubyte", np.arange(20) % 10)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind"), [("mnist", datasets.MNIST), ("fashion-mnist", datasets.FashionMNIST)]
)
def test_pixels_are_those_that_torchvision_decodes_one_by_one(mnist_root, name, kind):
    samples = load_data(name, root=mnist_root)
    one_by_one = list(kind(mnist_root, train=False, transform=ToTensor()))
    assert torch.equal(samples.inputs, torch.stack([image for image, _ in one_by_one]))
    assert samples.labels.tolist() == [label for _, label in one_by_one]
    assert (samples.classes, samples.name, samples.bounds) == (10, name, (0.0, 1.0))
    known = NAMED_DATASETS[name]
    assert (samples.mean, samples.std) == (known.mean, known.std)


def test_a_subset_is_drawn_from_the_labels(mnist_root):
    whole = load_data("mnist", root=mnist_root)
    subset = load_data("mnist", root=mnist_root, samples=10, seed=3)
    assert subset.labels.tolist() != list(range(10))
    assert sorted(subset.labels.tolist()) == list(range(10))
    chosen = draw_balanced(whole.labels, 10, seed=3)
    assert torch.equal(subset.inputs, whole.inputs[chosen])


def test_other_bounds_can_be_declared(mnist_root):
    assert load_data("mnist", root=mnist_root, bounds=(-1.0, 2.0)).bounds == (-1.0, 2.0)
    with pytest.raises(DataError, match=r"within the bounds \(0.0, 0.5\)"):
        load_data("mnist", root=mnist_root, bounds=(0.0, 0.5))


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_a_set_that_is_not_there_is_refused_with_the_remedy(tmp_path, name):
    message = f"{name}' is missing or damaged in '{tmp_path}'.*--download.*--data-root"
    with pytest.raises(DataError, match=message):
        load_data(name, root=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10", "tiny-imagenet"])
def test_a_set_without_a_root_asks_for_one(name, monkeypatch):
    monkeypatch.delenv("HORMESIS_DATA", raising=False)
    with pytest.raises(
        DataError, match=f"{name}' is read from a folder: name it with `--data-root`"
    ):
        load_data(name)


def test_the_environment_can_name_the_root(mnist_root, monkeypatch):
    monkeypatch.setenv("HORMESIS_DATA", str(mnist_root))
    assert len(load_data("mnist")) == 20


@pytest.mark.parametrize("content", [b"", b"\0\0\x08\x03", b"\0\0\x08\x03" + b"\0\0\0\x14" * 3])
def test_a_damaged_file_is_refused(mnist_root, content):
    (mnist_root / "MNIST" / "raw" / "t10k-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(DataError, match="'mnist' is missing or damaged"):
        load_data("mnist", root=mnist_root)


def test_cifar10_keeps_its_channels_rows_and_columns(tmp_path, monkeypatch):
    """A batch in the original format; torchvision's checksums of the real one are switched off."""
    monkeypatch.setattr(datasets.CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr(datasets.cifar, "check_integrity", lambda path, md5=None: True)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3 * 32 * 32), dtype=np.uint8)
    names = [f"class {number}" for number in range(10)]
    batch = {"data": pixels, "labels": [3, 1, 9, 1]}
    (folder / "test_batch").write_bytes(pickle.dumps(batch))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names}))
    samples = load_data("cifar10", root=tmp_path)
    expected = pixels.reshape(4, 3, 32, 32).astype(np.float32) / np.float32(255)
    assert np.array_equal(samples.inputs.numpy(), expected)
    assert samples.labels.tolist() == [3, 1, 9, 1]
    assert (samples.classes, samples.mean) == (10, (0.5, 0.5, 0.5))


def test_a_pickle_in_the_place_of_cifar10_is_not_opened(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in ("batches.meta", "test_batch", *(f"data_batch_{part}" for part in range(1, 6))):
        (folder / name).write_bytes(pickle.dumps(Bomb(str(tmp_path / "opened"))))
    with pytest.raises(DataError, match="'cifar10' is missing or damaged"):
        load_data("cifar10", root=tmp_path)
    assert not (tmp_path / "opened").exists()


class Bomb:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_download_that_fails_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://127.0.0.1:1/"])
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(DataError, match=r"Could not fetch 'mnist' into .*: "):
        load_data("mnist", root=tmp_path, download=True)


# --- image folders ------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """Two classes of images, 6 wide and 4 high."""
    random = np.random.default_rng(0)
    for name, count in (("dog", 2), ("cat", 4)):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 256, (4, 6, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / name / f"{number}.png")
    return tmp_path / "pets"


def test_a_folder_gives_the_images_of_torchvision_s_image_folder(folder):
    samples = load_data(str(folder))
    dataset = datasets.ImageFolder(folder, transform=ToTensor())
    images = [dataset[index][0] for index in range(6)]
    assert torch.equal(samples.inputs, torch.stack(images))
    assert samples.labels.tolist() == [0, 0, 0, 0, 1, 1]
    assert (samples.classes, samples.name, samples.mean) == (2, "pets", ())
    assert load_data(str(folder), samples=3).labels.tolist() == [0, 0, 1]


def test_a_relative_folder_has_its_own_name(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert load_data(".").name == "pets"


def test_images_of_two_sizes_are_both_named(folder):
    Image.new("RGB", (8, 8)).save(folder / "dog" / "1.png")
    with pytest.raises(DataError, match=r"6x4 in '.*cat/0.png' and 8x8 in '.*dog/1.png'; bring"):
        load_data(str(folder))


def test_grey_images_become_three_equal_channels(folder):
    Image.new("L", (6, 4), 51).save(folder / "cat" / "0.png")
    assert torch.equal(load_data(str(folder)).inputs[0], torch.full((3, 4, 6), 0.2))


def test_images_of_16_bits_keep_all_of_them(folder):
    values = np.arange(24, dtype=np.uint16).reshape(4, 6) * 2849
    Image.fromarray(values).save(folder / "cat" / "0.png")
    expected = torch.from_numpy(values.astype(np.float64) / 65535).expand(3, -1, -1)
    assert torch.allclose(load_data(str(folder)).inputs[0].double(), expected, rtol=0, atol=1e-7)


def test_images_of_32_bits_are_refused(folder):
    Image.fromarray(np.full((4, 6), 0.5, dtype=np.float32)).save(folder / "cat" / "0.tiff")
    with pytest.raises(DataError, match=r"8 or 16 bits a channel, got .* mode F in '.*0.tiff'"):
        load_data(str(folder))


def test_a_damaged_image_is_named(folder):
    (folder / "dog" / "1.png").write_bytes((folder / "dog" / "0.png").read_bytes()[:60])
    with pytest.raises(DataError, match=r"The image '.*dog/1.png' cannot be read"):
        load_data(str(folder))


def test_a_folder_without_classes_or_a_class_without_images_is_refused(folder):
    with pytest.raises(DataError, match=r"one folder of images for each class: .*class folder"):
        load_data(str(folder / "cat"))
    (folder / "fish").mkdir()
    with pytest.raises(DataError, match=r"one folder of images for each class: .*fish"):
        load_data(str(folder))


# --- a user's own function ----------------------------------------------------------------------

MODULE = """
import torch
from torch.utils.data import Dataset
from hormesis.data.samples import samples_from

PAIR = (torch.linspace(-1, 1, 8).reshape(4, 2), torch.tensor([0, 1, 2, 1]))

def declared():
    return samples_from(PAIR, bounds=(-1.0, 1.0), name="declared")

def wrong():
    return {"images": 1}

class Failing(Dataset):
    def __len__(self):
        return 3
    def __getitem__(self, index):
        raise KeyError("picture 7")
"""


@pytest.fixture
def _module(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data_user.py").write_text(MODULE)
    yield
    sys.modules.pop("data_user", None)


@pytest.mark.usefixtures("_module")
def test_a_value_or_function_of_the_user_s_gives_samples():
    samples = load_data("data_user:PAIR", bounds=(-2.0, 2.0), samples=3)
    assert (samples.name, samples.bounds, len(samples)) == ("data_user:PAIR", (-2.0, 2.0), 3)
    samples = load_data("data_user:declared")
    assert (samples.name, samples.bounds, samples.classes) == ("declared", (-1.0, 1.0), 3)
    assert load_data("data_user:declared", bounds=(-1.0, 3.0)).bounds == (-1.0, 3.0)


@pytest.mark.usefixtures("_module")
@pytest.mark.parametrize(
    ("spec", "kind", "message"),
    [
        ("data_user:PAIR", DataError, "values from -1 to 1. Declare the `bounds`"),
        ("data_user:wrong", DataError, "images.* to be tensors or arrays, got int"),
        ("data_user:Failing", DataError, r"item 0 failed with KeyError: 'picture 7' \(data_user"),
        ("data_user:PIAR", SettingError, r"Did you mean PAIR\?"),
    ],
)
def test_what_a_user_s_data_lack_is_told(spec, kind, message):
    with pytest.raises(kind, match=message):
        load_data(spec)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cifar", r"Unknown data set 'cifar'. Did you mean cifar10\?"),
        ("minst", r"Did you mean .*mnist.*A directory with one folder of images a class"),
        ("./nowhere", r"There is no folder './nowhere'"),
        ("some/where", r"There is no folder 'some/where'"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_ones(name, message):
    with pytest.raises(DataError, match=message):
        load_data(name)


# --- the real sets ------------------------------------------------------------------------------


@pytest.mark.data
@needs_data
@pytest.mark.parametrize(
    ("name", "kind", "shape"),
    [("mnist", datasets.MNIST, (1, 28, 28)), ("cifar10", datasets.CIFAR10, (3, 32, 32))],
)
def test_the_real_test_parts_have_10000_images_as_torchvision_decodes_them(name, kind, shape):
    samples = load_data(name, root=Path(str(DATA)))
    assert samples.inputs.shape == (10_000, *shape)
    assert samples.classes == 10
    one_by_one = kind(DATA, train=False, transform=ToTensor())
    for index in (0, 17, 9_999):
        image, label = one_by_one[index]
        assert torch.equal(samples.inputs[index], image)
        assert int(samples.labels[index]) == label


@pytest.mark.data
@needs_data
def test_the_normalisation_of_mnist_is_that_of_its_training_part():
    pixels = datasets.MNIST(str(DATA)).data.double() / 255
    assert (NAMED_DATASETS["mnist"].mean, NAMED_DATASETS["mnist"].std) == (
        (round(float(pixels.mean()), 4),),
        (round(float(pixels.std()), 4),),
    )
