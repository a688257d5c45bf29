"""Training and validation parts: what is in them, and that no sample is in both."""

import os

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision import datasets
from torchvision.transforms import ToTensor

from hormesis.data import image_cache as module
from hormesis.data.datasets import digits, load_data
from hormesis.data.image_array import ImageArray, image_array_from
from hormesis.data.image_cache import decode_images
from hormesis.data.samples import samples_from
from hormesis.data.splits import held_out, load_parts
from hormesis.errors import DataError
from made_sets import write_tiny_imagenet


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "hormesis" / "decoded"


@pytest.fixture
def tiny(tmp_path):
    return write_tiny_imagenet(tmp_path)


def rows(pixels):
    inputs, _ = pixels.batch(torch.arange(len(pixels)))
    return [row.numpy().tobytes() for row in inputs]


# --- pixels -------------------------------------------------------------------------------------


@given(st.data())
def test_a_batch_is_what_a_plain_loop_reads(data):
    count = data.draw(st.integers(1, 12))
    values = np.random.default_rng(count).integers(0, 256, (count, 2, 3, 3), dtype=np.uint8)
    pixels = ImageArray(values, torch.arange(count) % 2, (0.0, 1.0), 2, "made up")
    numbers = st.lists(st.integers(0, count - 1), min_size=1, max_size=12)
    outer = data.draw(numbers)
    inner = data.draw(st.lists(st.integers(0, len(outer) - 1), min_size=1, max_size=12))
    inputs, labels = pixels.subset(torch.tensor(outer)).batch(torch.tensor(inner))
    for place, row in enumerate(inner):
        expected = values[outer[row]].astype(np.float32) / np.float32(255)
        assert np.array_equal(inputs[place].numpy(), expected)
        assert labels[place] == outer[row] % 2


def test_pixels_and_samples_are_the_same_data():
    samples = digits()
    back = image_array_from(samples).samples()
    assert back.fingerprint() == samples.fingerprint()
    assert (back.name, back.classes, back.mean) == (samples.name, 10, samples.mean)


def test_a_fingerprint_tells_rows_order_and_labels_apart():
    values = np.random.default_rng(0).integers(0, 256, (6, 1, 2, 2), dtype=np.uint8)
    pixels = ImageArray(values, torch.arange(6) % 3, (0.0, 1.0), 3, "made up")
    relabelled = ImageArray(values, (torch.arange(6) + 1) % 3, (0.0, 1.0), 3, "made up")
    same = pixels.subset(torch.arange(6))
    others = (pixels.subset(torch.tensor([1, 0, 2, 3, 4, 5])), relabelled, pixels.draw(5, 0))
    assert same.fingerprint() == pixels.fingerprint()
    assert len({pixels.fingerprint(), *(other.fingerprint() for other in others)}) == 4


def test_what_is_no_data_is_refused():
    with pytest.raises(DataError, match="Expected `Samples` or `ImageArray`, got int"):
        image_array_from(3)


# --- parts --------------------------------------------------------------------------------------


def test_the_validation_part_of_a_named_set_is_what_is_analysed():
    parts = load_parts("digits")
    assert parts.validation.samples().fingerprint() == load_data("digits").fingerprint()
    assert not set(rows(parts.train)) & set(rows(parts.validation))


def test_a_folder_of_images_loses_a_tenth_of_each_class(tmp_path):
    for name, count in (("cat", 20), ("dog", 30)):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(count):
            colour = (number, count, 0)
            Image.new("RGB", (4, 4), colour).save(tmp_path / "pets" / name / f"{number:02}.png")
    parts = load_parts(str(tmp_path / "pets"), seed=1)
    assert torch.bincount(parts.train.labels).tolist() == [18, 27]
    assert torch.bincount(parts.validation.labels).tolist() == [2, 3]
    assert len({*rows(parts.train), *rows(parts.validation)}) == 50
    again = load_parts(str(tmp_path / "pets"), seed=1)
    assert again.validation.fingerprint() == parts.validation.fingerprint()
    assert (
        load_parts(str(tmp_path / "pets")).validation.fingerprint()
        != again.validation.fingerprint()
    )


def test_too_few_samples_to_hold_some_out_are_refused():
    few = samples_from((torch.rand(19, 1, 2, 2), torch.arange(19) % 2))
    with pytest.raises(DataError, match=r"at least 20 samples.*got 19"):
        held_out(image_array_from(few), seed=0)


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [
        ("digits", "papers", "Unknown split 'papers'. Did you mean paper"),
        ("digits", "paper", "`split` to be 'standard' for 'digits', got 'paper'"),
    ],
)
def test_a_split_that_there_is_not_is_refused(name, split, message):
    with pytest.raises(DataError, match=message):
        load_parts(name, split=split)


# --- Tiny ImageNet ------------------------------------------------------------------------------


def test_the_standard_split_is_that_of_the_folders(tiny):
    parts = load_parts("tiny-imagenet", root=tiny.parent)
    folder = datasets.ImageFolder(tiny / "train", transform=ToTensor())
    inputs, labels = parts.train.batch(torch.arange(len(folder)))
    assert torch.equal(inputs, torch.stack([image for image, _ in folder]))
    assert labels.tolist() == folder.targets
    whole = load_data("tiny-imagenet", root=tiny.parent)  # decoded without the cache
    assert parts.validation.samples().fingerprint() == whole.fingerprint()
    grey = inputs[0]
    assert torch.equal(grey[0], grey[1])
    assert torch.equal(grey[0], grey[2])


@pytest.mark.parametrize(("split", "train", "validation"), [("paper", 9, 1), ("paper-80", 8, 2)])
def test_the_paper_s_split_pools_all_that_is_labelled(tiny, split, train, validation):
    parts = load_parts("tiny-imagenet", root=tiny.parent, split=split)
    count = 33  # 27 to train and 6 to validate
    assert (len(parts.train), len(parts.validation)) == (
        count * train // 11,
        count * validation // 11,
    )
    assert set(torch.bincount(parts.train.labels).tolist()) == {train}
    assert set(torch.bincount(parts.validation.labels).tolist()) == {validation}
    standard = load_parts("tiny-imagenet", root=tiny.parent)
    everything = {*rows(standard.train), *rows(standard.validation)}
    assert not set(rows(parts.train)) & set(rows(parts.validation))
    assert {*rows(parts.train), *rows(parts.validation)} <= everything
    other = load_parts("tiny-imagenet", root=tiny.parent, split=split, seed=1)
    assert other.validation.fingerprint() != parts.validation.fingerprint()


def kept(tiny):
    return sorted((tiny / module.FOLDER).iterdir())


def test_images_are_decoded_once_and_for_all_splits(tiny, monkeypatch):
    stages = []
    load_parts("tiny-imagenet", root=tiny.parent, progress=lambda *step: stages.append(step))
    assert stages == [("Decoding the images, once", 33, 33)]
    assert [path.suffix for path in kept(tiny)] == [".npy"]
    monkeypatch.setattr(module, "read_pixels", None)  # would fail if it were called
    load_parts("tiny-imagenet", root=tiny.parent, split="paper")


@pytest.mark.parametrize("change", ["content", "time", "added"])
def test_a_changed_image_makes_the_cache_stale(tiny, change):
    before = load_parts("tiny-imagenet", root=tiny.parent).train.fingerprint()
    (old,) = kept(tiny)
    first = tiny / "train" / "n01" / "images" / "n01_1.JPEG"
    if change == "content":
        Image.new("RGB", (8, 8)).save(first)
    elif change == "time":
        os.utime(first, ns=(1, 1))
    else:
        first.with_name("n01_extra.JPEG").write_bytes(first.read_bytes())
    after = load_parts("tiny-imagenet", root=tiny.parent).train.fingerprint()
    (new,) = kept(tiny)
    assert new != old
    assert (after == before) == (change == "time")


@pytest.mark.parametrize("damage", [b"", b"no array", "half"])
def test_a_damaged_cache_is_made_anew(tiny, damage):
    before = load_parts("tiny-imagenet", root=tiny.parent).train.fingerprint()
    (path,) = kept(tiny)
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(whole[: len(whole) // 2] if damage == "half" else damage)
    assert load_parts("tiny-imagenet", root=tiny.parent).train.fingerprint() == before
    assert path.read_bytes() == whole


def test_what_a_killed_process_left_is_deleted_and_never_read(tiny):
    (tiny / module.FOLDER).mkdir()
    left = tiny / module.FOLDER / ".labelled-0123.npy.99999999.partial"
    left.write_bytes(b"half an array")
    load_parts("tiny-imagenet", root=tiny.parent)
    assert not left.exists()


def test_an_interrupted_cache_leaves_nothing(tiny, monkeypatch):
    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "read_pixels", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_parts("tiny-imagenet", root=tiny.parent)
    folder = tiny / module.FOLDER
    assert not folder.exists() or list(folder.iterdir()) == []


def test_where_the_data_cannot_be_written_the_user_s_cache_is_used(tiny, cache):
    (tiny / module.FOLDER).write_text("a file in the way")
    parts = load_parts("tiny-imagenet", root=tiny.parent)
    assert len(list(cache.iterdir())) == 1
    assert parts.notes == (
        f"The folder '{tiny}' cannot be written: decoded images are kept in '{cache}'.",
    )


def test_where_nothing_can_be_written_memory_has_to_do(tiny, tmp_path, monkeypatch):
    beside = load_parts("tiny-imagenet", root=tiny.parent).train.fingerprint()
    (path,) = kept(tiny)
    path.unlink()
    path.parent.rmdir()
    (tiny / module.FOLDER).write_text("a file in the way")
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    parts = load_parts("tiny-imagenet", root=tiny.parent)
    assert parts.train.fingerprint() == beside
    assert "were decoded into memory" in parts.notes[0]


def test_images_of_two_sizes_are_both_named(tiny):
    Image.new("RGB", (4, 6)).save(tiny / "train" / "n02" / "images" / "n02_3.JPEG")
    with pytest.raises(DataError, match=r"8x8 in '.*n01_0.JPEG' and 4x6 in '.*n02_3.JPEG'"):
        load_parts("tiny-imagenet", root=tiny.parent)
    assert not any((tiny / module.FOLDER).iterdir())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda tiny: (tiny / "wnids.txt").unlink(), "wnids.txt' cannot be read; fetch it anew"),
        (lambda tiny: (tiny / "train" / "n02").rename(tiny / "n02"), "no folder '.*n02/images'"),
        (
            lambda tiny: [f.unlink() for f in (tiny / "train" / "n03" / "images").iterdir()],
            "'.*n03/images' holds no images",
        ),
        (
            lambda tiny: (tiny / "train" / "n01" / "images" / "n01_2.JPEG").write_bytes(b"x"),
            "The image '.*n01_2.JPEG' cannot be read",
        ),
        (
            lambda tiny: (tiny / "train" / "n01" / "n01_boxes.txt").write_text("n01_9.JPEG\t0\n"),
            "n01_boxes.txt' lists, but .*n01_9.JPEG' is missing",
        ),
    ],
    ids=["list", "folder", "empty", "image", "listed"],
)
def test_an_incomplete_training_set_is_named(tiny, damage, message):
    damage(tiny)
    with pytest.raises(DataError, match=message):
        load_parts("tiny-imagenet", root=tiny.parent)


def test_two_files_in_turn_keep_their_order(tiny):
    files = sorted((tiny / "train").rglob("*.JPEG"), key=lambda path: path.name[::-1])
    found = decode_images(files, "mixed", beside=tiny)
    for row, file in enumerate(files):
        with Image.open(file) as image:
            assert np.array_equal(
                found.pixels[row], np.array(image.convert("RGB")).transpose(2, 0, 1)
            )
