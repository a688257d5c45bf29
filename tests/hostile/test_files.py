"""Files from elsewhere, crafted to run code, to leave their folder or to fill memory or disk."""

import os
import struct
import zipfile
import zlib
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hormesis.data import images
from hormesis.data.datasets import load_data
from hormesis.data.image_cache import decode_images
from hormesis.data.images import read_images, read_pixels
from hormesis.data.tiny_imagenet import training_files, validation_files
from hormesis.errors import DataError, ModelError, TrainingError
from hormesis.models.checkpoints import load_checkpoint
from hormesis.results.training_run import load_run, write_metrics, write_run_manifest


def png(path: Path, width: int, height: int) -> Path:
    """Write an image that claims a size, and holds nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        sum_of_both = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", sum_of_both)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def picture(path: Path, side: int = 4) -> Path:
    Image.fromarray(np.zeros((side, side, 3), np.uint8)).save(path)
    return path


def test_postscript_is_not_given_to_an_interpreter(tmp_path, monkeypatch):
    gs = tmp_path / "bin" / "gs"
    gs.parent.mkdir()
    gs.write_text(f"#!/bin/sh\ntouch {tmp_path}/was_run\n")
    gs.chmod(0o755)
    monkeypatch.setenv("PATH", f"{gs.parent}:{os.environ['PATH']}")
    script = tmp_path / "set" / "cat" / "1.png"
    script.parent.mkdir(parents=True)
    script.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n")
    with pytest.raises(DataError, match=r"1\.png' cannot be read: cannot identify"):
        load_data(str(tmp_path / "set"))
    assert not (tmp_path / "was_run").exists()


@pytest.mark.parametrize("size", [(100_000, 100_000), (20_000, 5_000), (2**31 - 1, 1)])
def test_an_image_that_claims_too_many_pixels_is_not_decoded(tmp_path, size):
    with pytest.raises(DataError, match=r"bomb\.png' cannot be read: "):
        read_pixels(png(tmp_path / "bomb.png", *size))


def test_images_that_do_not_fit_into_memory_are_not_allocated(tmp_path, monkeypatch):
    Memory = namedtuple("Memory", "available")
    monkeypatch.setattr(images.psutil, "virtual_memory", lambda: Memory(1 << 20))
    one = picture(tmp_path / "one.png", 64)
    assert read_images([one] * 4).shape == (4, 3, 64, 64)
    with pytest.raises(DataError, match=r"The 1,000,000 images take 45\.8 GiB of memory, but 0\.0"):
        read_images([one] * 1_000_000)


def test_a_pipe_in_the_place_of_an_image_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(DataError, match=r"Expected an image file, got '.*pipe\.png'"):
        read_pixels(tmp_path / "pipe.png")


@pytest.mark.parametrize("name", ["pipe.safetensors", "pipe.pt", "pipe.ckpt"])
def test_a_pipe_in_the_place_of_a_checkpoint_is_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(ModelError, match=r"Expected a checkpoint file, got '.*', a pipe or a dev"):
        load_checkpoint(tmp_path / name)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_a_checkpoint_that_is_larger_than_the_memory_is_not_read(tmp_path, name):
    with (tmp_path / name).open("wb") as file:
        file.truncate(1 << 42)
    with pytest.raises(ModelError, match=r"takes 4096\.0 GiB, but .* of memory are free"):
        load_checkpoint(tmp_path / name)


def test_an_image_larger_than_any_that_is_decoded_is_not_read(tmp_path):
    path = picture(tmp_path / "1.jpg")
    with path.open("ab") as file:
        file.truncate(1 << 40)
    with pytest.raises(DataError, match=r"1\.jpg' cannot be read: it is larger than 536,870,912"):
        read_pixels(path)


def test_a_pipe_in_the_place_of_a_class_of_images_is_refused(tmp_path):
    (tmp_path / "set" / "cat").mkdir(parents=True)
    picture(tmp_path / "set" / "cat" / "1.png")
    os.mkfifo(tmp_path / "set" / "cat" / "2.png")
    (tmp_path / "set" / "cat" / "3.png").symlink_to("/dev/zero")
    with pytest.raises(DataError, match=r"Expected an image file, got '.*2\.png'"):
        load_data(str(tmp_path / "set"))


def test_links_in_circles_among_classes_of_images_are_refused(tmp_path):
    (tmp_path / "set" / "cat").mkdir(parents=True)
    picture(tmp_path / "set" / "cat" / "1.png")
    for name in "ab":
        (tmp_path / "set" / "cat" / name).symlink_to(tmp_path / "set")
    with pytest.raises(DataError, match=r"lead in circles, as at '.*cat/[ab]'"):
        load_data(str(tmp_path / "set"))


@pytest.mark.parametrize("how", ["pipe", "terabyte"])
def test_a_pipe_in_the_place_of_a_list_of_tiny_imagenet_is_not_waited_for(tmp_path, how):
    path = tmp_path / "tiny-imagenet-200" / "wnids.txt"
    path.parent.mkdir()
    if how == "pipe":
        os.mkfifo(path)
    else:
        path.touch()
        os.truncate(path, 1 << 40)
    with pytest.raises(DataError, match=r"list '.*wnids\.txt' cannot be read"):
        validation_files(path.parent)


def test_a_pipe_in_the_place_of_a_file_of_a_named_set_is_not_waited_for(tmp_path):
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "t10k-images-idx3-ubyte")
    with pytest.raises(DataError, match=r"Expected a file of at most .*t10k-images-idx3-ubyte'"):
        load_data("mnist", root=tmp_path)


def test_a_pipe_in_the_place_of_decoded_images_is_no_cache(tmp_path):
    files = [picture(tmp_path / "1.png")]
    decode_images(files, "labelled", beside=tmp_path)
    (kept,) = (tmp_path / ".hormesis").iterdir()
    kept.unlink()
    os.mkfifo(kept)
    assert decode_images(files, "labelled", beside=tmp_path).pixels.shape == (1, 3, 4, 4)


@pytest.mark.parametrize("name", ["../../../secret/a.JPEG", "/secret/a.JPEG", "..", "x\0y", ""])
def test_the_lists_of_tiny_imagenet_stay_within_its_folder(tmp_path, name):
    folder = tmp_path / "tiny-imagenet-200"
    (folder / "val" / "images").mkdir(parents=True)
    picture(folder / "val" / "images" / "a.JPEG")
    (folder / "wnids.txt").write_text("n01\n")
    (folder / "val" / "val_annotations.txt").write_text(f"{name}\tn01\t0\n")
    with pytest.raises(DataError, match=r"Expected a file and a class of wnids.txt in line 1"):
        validation_files(folder)
    (folder / "wnids.txt").write_text(f"{name or '.'}\n")
    with pytest.raises(DataError, match=r"Expected names of classes in '.*wnids.txt', got "):
        training_files(folder)


def test_a_link_that_came_with_the_data_is_not_written_through(tmp_path, monkeypatch):
    victim = tmp_path / "precious"
    victim.write_text("years of work")
    home = tmp_path / "set" / ".hormesis"
    home.mkdir(parents=True)
    files = [picture(tmp_path / "set" / f"{number}.png") for number in range(2)]
    found = decode_images(files, "labelled", beside=home.parent)
    assert found.pixels.shape == (2, 3, 4, 4)
    (kept,) = home.iterdir()
    (home / f".{kept.name}.{os.getpid()}.partial").symlink_to(victim)
    kept.unlink()
    assert decode_images(files, "labelled", beside=home.parent).pixels.shape == (2, 3, 4, 4)
    assert victim.read_text() == "years of work"


def test_a_link_in_the_folder_of_a_training_is_not_written_through(tmp_path):
    victim = tmp_path / "precious"
    victim.write_text("years of work")
    run = tmp_path / "run"
    run.mkdir()
    for name in ("manifest.json", "metrics.csv"):
        (run / name).symlink_to(victim)
    write_run_manifest(run, {"question": {}})
    write_metrics(run, "epoch\n1\n")
    assert victim.read_text() == "years of work"
    assert sorted(path.name for path in run.iterdir()) == ["manifest.json", "metrics.csv"]


def test_a_header_that_python_cannot_parse_is_no_cache(tmp_path):
    files = [picture(tmp_path / "1.png")]
    decode_images(files, "labelled", beside=tmp_path)
    (kept,) = (tmp_path / ".hormesis").iterdir()
    large = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1, 3, %d, 4)}" % 9**19
    for header in (b"(" * 9000, large, b"{'descr': '|O'}", b""):
        kept.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
        assert decode_images(files, "labelled", beside=tmp_path).pixels.shape == (1, 3, 4, 4)


def test_an_archive_that_only_pytorch_would_open_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "w.pt"
    torch.save({"a": torch.zeros(3)}, path)
    path.write_bytes(path.read_bytes().replace(b"PK\x01\x02", b"PK\x01\x03"))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("was opened"))
    with pytest.raises(ModelError, match="is damaged, cut short, or no checkpoint"):
        load_checkpoint(path)


def test_a_checkpoint_that_unpacks_to_more_than_itself_is_refused(tmp_path):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(1 << 24))
    with pytest.raises(ModelError, match="unpacks to 16,777,216 bytes, more than its own size"):
        load_checkpoint(path)


@pytest.mark.parametrize("claimed", [1 << 62, (1 << 64) - 1, 100_000_001])
def test_a_safetensors_header_larger_than_its_file_is_refused(tmp_path, claimed):
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", claimed) + b"{}")
    with pytest.raises(ModelError, match="is damaged, cut short, or no checkpoint"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "is damaged: it is nested more deeply than 64 levels"),
        (
            '{"training": 1' + " " * (1 << 26) + "}",
            "is damaged: it is larger than 16,777,216 bytes",
        ),
        ('{"training": 1, "question": []}', "is damaged: it lacks a proper `question`"),
        (
            '{"training": ' + "9" * 5000 + "}",
            "is damaged: it holds a number of more",
        ),
    ],
    ids=["deep", "long", "empty", "digits"],
)
def test_a_manifest_of_a_training_is_read_within_bounds(tmp_path, text, words):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(TrainingError, match=words):
        load_run(tmp_path)
