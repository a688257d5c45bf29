"""Pictures of one's own: their size, their depth, and which folder is which class."""

import json
import math
import re

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import ResNet50_Weights, ViT_B_16_Weights

from hormesis.data.class_index import ClassIndex, read_class_index
from hormesis.data.image_cache import decode_images
from hormesis.data.image_folders import (
    FolderReading,
    classes_of,
    describe_classes,
    load_folder,
)
from hormesis.data.images import read_images
from hormesis.data.preprocessing import Preprocessing
from hormesis.errors import DataError, SettingError


def noise(height: int, width: int, seed: int = 0) -> Image.Image:
    random = np.random.default_rng(seed)
    return Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.fixture
def make(tmp_path):
    """Make folders with one picture each."""

    def folders(*names: str):
        for number, name in enumerate(names):
            (tmp_path / "pets" / name).mkdir(parents=True)
            noise(4, 6, number).save(tmp_path / "pets" / name / "0.png")
        return tmp_path / "pets"

    return folders


# --- size ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "weights", [ResNet50_Weights.IMAGENET1K_V2, ViT_B_16_Weights.IMAGENET1K_SWAG_LINEAR_V1]
)
@pytest.mark.parametrize("name", ["wide.png", "tall.jpg"])
def test_a_picture_is_that_of_torchvision_s_own_transforms(tmp_path, weights, name):
    preset = weights.transforms()
    path = tmp_path / name
    (noise(300, 410) if name == "wide.png" else noise(520, 260)).save(path)
    size = Preprocessing(
        tuple(preset.resize_size), tuple(preset.crop_size), preset.interpolation.value
    )
    (pixels,) = read_images([path], preprocessing=size)
    expected = preset(Image.open(path))
    mean, std = (torch.tensor(numbers)[:, None, None] for numbers in (preset.mean, preset.std))
    assert torch.allclose((pixels - mean) / std, expected, rtol=0, atol=1e-6)


def test_a_deep_picture_is_resized_as_floats(tmp_path):
    values = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    (pixels,) = read_images([tmp_path / "deep.png"], preprocessing=Preprocessing((16, 16)))
    smaller = Image.fromarray(values.astype(np.float32)).resize((16, 16), Image.Resampling.BILINEAR)
    expected = torch.from_numpy(np.array(smaller) / 65535).expand(3, -1, -1)
    assert torch.allclose(pixels, expected, rtol=0, atol=1e-6)
    assert len(pixels.unique()) > 250  # a byte could not tell them apart


@pytest.mark.parametrize("suffix", ["png", "tiff", "ppm"])
def test_sixteen_bits_of_every_format_are_scaled_by_the_same_number(tmp_path, suffix):
    values = np.array([[0, 1, 256], [32768, 65534, 65535]], dtype=np.uint16)
    path = tmp_path / f"deep.{suffix}"
    if suffix == "ppm":
        path.write_bytes(b"P5 3 2 65535\n" + values.astype(">u2").tobytes())
    else:
        Image.fromarray(values).save(path)
    (pixels,) = read_images([path])
    expected = torch.from_numpy(values.astype(np.float64) / 65535)
    for channel in pixels.double():
        assert torch.allclose(channel, expected, rtol=0, atol=1e-7)


def test_a_cache_of_bytes_refuses_sixteen_bits(tmp_path):
    path = tmp_path / "deep.png"
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(path)
    with pytest.raises(DataError, match=r"Expected 8 bits a channel, got 16 in '.*deep\.png'"):
        decode_images([path], "labelled", beside=tmp_path)


def test_pictures_of_several_sizes_ask_for_one(tmp_path):
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    noise(20, 30).save(paths[0])
    noise(40, 24).save(paths[1])
    with pytest.raises(DataError, match="bring them to one size with `resize` and `crop`"):
        read_images(paths)
    assert read_images(paths, preprocessing=Preprocessing((16,), (12, 14))).shape == (2, 3, 12, 14)


def test_a_crop_that_is_larger_than_a_picture_is_refused(tmp_path):
    noise(20, 30).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png' cannot be read: 30x20 .* than the crop of 24x24"):
        read_images([tmp_path / "a.png"], preprocessing=Preprocessing((), (24,)))


@pytest.mark.parametrize("size", [(0,), (-1,), (1, 2, 3), (10_000,)])
def test_sizes_that_are_none_are_refused(size):
    with pytest.raises(SettingError, match="Expected `crop` to be one or two numbers of pixels"):
        Preprocessing((), size)


# --- classes ------------------------------------------------------------------------------------


def test_hidden_folders_and_files_are_skipped(make):
    folder = make("cat", "dog")
    (folder / ".thumbnails").mkdir()
    (folder / "cat" / "._0.png").write_bytes(b"of another system")
    (folder / "dog" / ".cache").mkdir()
    (folder / "dog" / ".cache" / "0.png").write_bytes(b"of a viewer")
    samples = load_folder(folder)
    assert samples.labels.tolist() == [0, 1]
    assert samples.classes == 2


def test_a_hidden_folder_above_the_pictures_does_not_matter(tmp_path):
    for name in ("a", "b"):
        (tmp_path / ".data" / name).mkdir(parents=True)
        noise(4, 4).save(tmp_path / ".data" / name / "0.png")
    assert len(load_folder(tmp_path / ".data")) == 2


def test_numbers_are_in_alphabetical_order_unless_the_natural_one_is_asked_for(make):
    folder = make("1", "10", "2")
    assert classes_of(folder) == {"1": 0, "10": 1, "2": 2}
    natural = FolderReading(order="natural")
    assert classes_of(folder, natural) == {"1": 0, "2": 1, "10": 2}
    by_file = load_folder(folder, natural)
    assert by_file.labels.tolist() == [0, 2, 1]  # of 1, 10 and 2, as the files lie
    assert describe_classes(folder, FolderReading()) == (
        "Classes are the folders in alphabetical order: 1, 10, 2; --class-order natural takes them "
        "as numbers."
    )
    assert (
        describe_classes(folder, natural) == "Classes are the folders in natural order: 1, 2, 10."
    )


def test_natural_order_of_names_with_numbers(make):
    folder = make("Img2", "img10", "img1b", "other")
    assert list(classes_of(folder, FolderReading(order="natural"))) == [
        "img1b",
        "Img2",
        "img10",
        "other",
    ]


KERAS = {"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"], "2": ["n02123045", "tabby"]}
FILES = {
    "names.txt": "tench\ngoldfish\ntabby\n",
    "synsets.txt": "n01440764 tench, Tinca tinca\nn01443537 goldfish\nn02123045 tabby, tabby cat\n",
    "keras.json": json.dumps(KERAS),
    "list.json": json.dumps(["tench", "goldfish", "tabby"]),
    "plain.json": json.dumps({"0": "tench", "1": "goldfish", "2": "tabby"}),
    "class_to_idx.json": json.dumps({"tabby": 2, "tench": 0, "goldfish": 1}),
    "marked.txt": "\ufefftench\r\ngoldfish\r\ntabby\r\n",
}


@pytest.mark.parametrize("name", FILES)
def test_a_class_index_numbers_the_folders(make, tmp_path, name):
    (tmp_path / name).write_text(FILES[name], encoding="utf-8", newline="")
    index = read_class_index(tmp_path / name)
    folder = make("Tabby", "tench")
    samples = load_folder(folder, FolderReading(class_index=index))
    assert samples.labels.tolist() == [2, 0]
    assert samples.classes == 3
    said = describe_classes(folder, FolderReading(class_index=index))
    assert re.fullmatch(
        r"Classes are numbered by the class index '.*': tench is 0, Tabby is 2\.", said
    )


@pytest.mark.parametrize("name", ["n02123045", "tabby cat", "tabby_cat", "TABBY"])
def test_numbers_and_synonyms_of_wordnet_are_names_too(make, tmp_path, name):
    (tmp_path / "synsets.txt").write_text(FILES["synsets.txt"])
    index = read_class_index(tmp_path / "synsets.txt")
    assert classes_of(make(name), FolderReading(class_index=index)) == {name: 2}


def test_a_line_left_empty_is_an_output_without_a_name(tmp_path):
    (tmp_path / "names.txt").write_text("cat\n\ndog\n")
    assert read_class_index(tmp_path / "names.txt").find(["dog"]) == {"dog": 2}


def test_a_folder_of_no_class_or_of_two_is_refused(make):
    index = ClassIndex((("crane",), ("tench",), ("crane",)), "the list")
    for name, words in {
        "tensh": r"'tensh' is no class\. Did you mean tench\? Rename it",
        "Crane": r"'Crane' stands for the outputs 0 and 2\. Rename it",
    }.items():
        with pytest.raises(DataError, match=f"By the list, the folder {words}.*`class_index`"):
            index.find([name])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no names"),
        ("[]", "holds no names"),
        ("{}", "holds no names"),
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("[1, 2]", "cannot be read: 1 is no name"),
        ('{"a": "b"}', "cannot be read: its keys are no numbers"),
        ('{"0": "a", "00": "b"}', "stands there twice"),
        ('{"a": 99999999999}', "is too large"),
        ('{"a": -1}', "its keys are no numbers"),
    ],
)
def test_a_class_index_that_is_none_is_refused(tmp_path, text, words):
    (tmp_path / "index").write_text(text)
    with pytest.raises(DataError, match=words) as refusal:
        read_class_index(tmp_path / "index")
    assert "\n" not in str(refusal.value)


def test_a_class_index_that_is_no_file_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match=r"to be a file of at most|No such file"):
            read_class_index(path)


def test_sizes_are_described():
    assert Preprocessing().described() == ""
    assert Preprocessing((32, 48)).described() == "resized to 48x32 (bilinear)"
    assert Preprocessing((), (8,)).described() == "cropped to 8x8"
    assert math.prod(Preprocessing((9,), (8,)).apply(noise(12, 18)).size) == 64
