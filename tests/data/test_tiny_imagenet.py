import hashlib
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder
from torchvision.transforms.functional import to_tensor

from hormesis.data import tiny_imagenet
from hormesis.data.datasets import load_data
from hormesis.data.tiny_imagenet import ARCHIVE, find_tiny_imagenet, validation_files
from hormesis.errors import DataError

DATA = os.environ.get("HORMESIS_DATA")
CLASSES = ["n30", "n10", "n20"]  # as in wnids.txt: in no order


@pytest.fixture
def root(tmp_path):
    """A data set of three classes and six validation images, one of them grey."""
    folder = tmp_path / "tiny-imagenet-200"
    noise = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)
    (folder / "val" / "images").mkdir(parents=True)
    lines = []
    for number, pixels in enumerate(noise):
        name = CLASSES[number % 3]
        image = Image.fromarray(pixels)
        image = image.convert("L") if number == 4 else image
        image.save(folder / "val" / "images" / f"val_{number}.JPEG")
        train = folder / "train" / name / "images"
        train.mkdir(parents=True, exist_ok=True)
        image.save(train / f"{name}_{number}.JPEG")
        lines.append(f"val_{number}.JPEG\t{name}\t0\t0\t62\t62\n")
    (folder / "val" / "val_annotations.txt").write_text("".join(lines))
    (folder / "wnids.txt").write_text("\n".join(CLASSES) + "\n")
    return tmp_path


def test_labels_are_those_of_an_image_folder_over_the_training_part(root):
    files, labels, classes = validation_files(root / "tiny-imagenet-200")
    assert labels.tolist() == [2, 0, 1, 2, 0, 1]
    assert [path.name for path in files] == [f"val_{number}.JPEG" for number in range(6)]
    folder = ImageFolder(root / "tiny-imagenet-200" / "train")
    assert classes == len(folder.classes)
    assert [folder.class_to_idx[CLASSES[number % 3]] for number in range(6)] == labels.tolist()


def test_images_are_red_green_and_blue_as_torchvision_decodes_them(root):
    seen = []
    samples = load_data(
        "tiny-imagenet", root=root, progress=lambda done, total: seen.append((done, total))
    )
    files, labels, _ = validation_files(root / "tiny-imagenet-200")
    expected = torch.stack([to_tensor(Image.open(path).convert("RGB")) for path in files])
    assert torch.equal(samples.inputs, expected)
    assert torch.equal(samples.inputs[4, 0], samples.inputs[4, 2])
    assert torch.equal(samples.labels, labels)
    assert (samples.classes, samples.name) == (3, "tiny-imagenet")
    assert samples.mean == (0.485, 0.456, 0.406)
    assert seen == [(number, 6) for number in range(1, 7)]


def test_only_the_chosen_images_are_decoded(root):
    whole = load_data("tiny-imagenet", root=root)
    subset = load_data("tiny-imagenet", root=root, samples=3, seed=1)
    assert sorted(subset.labels.tolist()) == [0, 1, 2]
    chosen = [int((whole.inputs == row).flatten(1).all(1).nonzero()) for row in subset.inputs]
    for number in set(range(6)) - set(chosen):
        image = root / "tiny-imagenet-200" / "val" / "images" / f"val_{number}.JPEG"
        image.write_bytes(b"damaged")
    again = load_data("tiny-imagenet", root=root, samples=3, seed=1)
    assert again.fingerprint() == subset.fingerprint()


def test_the_folder_itself_will_do_as_root(root):
    folder = root / "tiny-imagenet-200"
    assert find_tiny_imagenet(folder) == find_tiny_imagenet(root) == folder
    renamed = folder.rename(root / "tiny")
    assert find_tiny_imagenet(renamed) == renamed


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "wnids.txt").unlink(), r"wnids.txt' cannot be read; fetch it"),
        (lambda folder: (folder / "wnids.txt").write_text(""), r"wnids.txt' is empty"),
        (lambda folder: (folder / "wnids.txt").write_bytes(b"\xff"), r"wnids.txt' cannot be read"),
        (
            lambda folder: (folder / "wnids.txt").write_text("n10\nn30\n"),
            r"a class of wnids.txt in line 3 of '.*val_annotations.txt', got 'val_2.JPEG\\tn20",
        ),
        (
            lambda folder: (folder / "val" / "val_annotations.txt").write_text("val_0.JPEG\n"),
            r"line 1 of .*got 'val_0.JPEG'",
        ),
        (
            lambda folder: (folder / "val" / "val_annotations.txt").unlink(),
            r"val_annotations.txt' cannot be read",
        ),
        (
            lambda folder: (folder / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn10\n"),
            r"val_1.JPEG' is not listed \(5 such images\)",
        ),
        (
            lambda folder: (folder / "val" / "images" / "val_3.JPEG").unlink(),
            r"val_3.JPEG' is missing \(1 such images\)",
        ),
        (
            lambda folder: (folder / "val" / "images").rename(folder / "moved"),
            r"There is no folder '.*images'",
        ),
        (
            lambda folder: (folder / "val" / "images" / "val_3.JPEG").write_bytes(b"x"),
            r"The image '.*val_3.JPEG' cannot be read",
        ),
    ],
)
def test_what_is_missing_or_damaged_is_named(root, damage, message):
    damage(root / "tiny-imagenet-200")
    with pytest.raises(DataError, match=message):
        load_data("tiny-imagenet", root=root)


def test_a_truncated_image_is_named(root):
    image = root / "tiny-imagenet-200" / "val" / "images" / "val_3.JPEG"
    image.write_bytes(image.read_bytes()[:-900])
    with pytest.raises(DataError, match=r"The image '.*val_3.JPEG' cannot be read: .*truncated"):
        load_data("tiny-imagenet", root=root)


def test_a_root_without_it_is_named_with_the_remedy(tmp_path):
    with pytest.raises(
        DataError, match=r"no data set 'tiny-imagenet' in .*--download.*--data-root"
    ):
        load_data("tiny-imagenet", root=tmp_path)


def test_the_archive_is_the_one_that_is_known():
    assert ARCHIVE.url == "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
    assert ARCHIVE.md5 == "90528d7ca1a48142e341f4ef8d21d0de"
    assert ARCHIVE.size == 248_100_043


def test_download_leads_to_samples(root, tmp_path_factory, monkeypatch):
    """The archive lies in the root already, so that nothing is fetched over the net."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path in sorted((root / "tiny-imagenet-200").rglob("*")):
            archive.write(path, path.relative_to(root))
    new = tmp_path_factory.mktemp("new")
    (new / "tiny-imagenet-200.zip").write_bytes(stream.getvalue())
    known = tiny_imagenet.Archive(
        url="http://127.0.0.1:1/never-asked",
        md5=hashlib.md5(stream.getvalue()).hexdigest(),
        size=len(stream.getvalue()),
        folder="tiny-imagenet-200",
        unpacked=10_000_000,
    )
    monkeypatch.setattr(tiny_imagenet, "ARCHIVE", known)
    samples = load_data("tiny-imagenet", root=new, download=True)
    assert samples.fingerprint() == load_data("tiny-imagenet", root=root).fingerprint()
    assert load_data("tiny-imagenet", root=new).fingerprint() == samples.fingerprint()


@pytest.mark.data
@pytest.mark.skipif(DATA is None, reason="HORMESIS_DATA names no folder of data sets")
def test_the_real_validation_set_has_50_images_of_each_of_200_classes():
    folder = find_tiny_imagenet(Path(str(DATA)))
    files, labels, classes = validation_files(folder)
    assert (len(files), classes) == (10_000, 200)
    assert torch.bincount(labels).tolist() == [50] * 200
    names = sorted(path.name for path in (folder / "train").iterdir())
    assert names[int(labels[0])] == "n03444034"  # the first line of val_annotations.txt
    samples = load_data("tiny-imagenet", root=Path(str(DATA)), samples=200)
    assert samples.inputs.shape == (200, 3, 64, 64)
    assert sorted(samples.labels.tolist()) == list(range(200))
