"""Small data sets in the layout of the original ones."""

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("n03", "n01", "n02")


def write_mnist(root: Path, *, train: int, test: int) -> None:
    """Write MNIST's four files; a class is a bright row of its own."""
    random = np.random.default_rng(0)
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", train), ("t10k", test)):
        labels = np.arange(count) % 10
        images = random.integers(0, 100, (count, 28, 28))
        for row in range(count):
            images[row, 2 * labels[row] + 4] += 150
        _write_idx(raw / f"{part}-images-idx3-ubyte", images)
        _write_idx(raw / f"{part}-labels-idx1-ubyte", labels)


def _write_idx(path: Path, array: np.ndarray) -> None:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes())


def write_tiny_imagenet(root: Path, count: int = 9) -> Path:
    """Write the original layout: 8x8 images, ``count`` a class to train and two to validate."""
    random = np.random.default_rng(0)
    folder = root / "tiny-imagenet-200"
    (folder / "val" / "images").mkdir(parents=True)
    (folder / "wnids.txt").write_text("\n".join(CLASSES))
    for name in CLASSES:
        images = folder / "train" / name / "images"
        images.mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            image = Image.fromarray(pixels)
            (image.convert("L") if number == 0 else image).save(images / f"{name}_{number}.JPEG")
    lines = []
    for number in range(2 * len(CLASSES)):
        pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "val" / "images" / f"val_{number}.JPEG")
        lines.append(f"val_{number}.JPEG\t{CLASSES[number % 3]}\t0\t0\t8\t8")
    (folder / "val" / "val_annotations.txt").write_text("\n".join(lines))
    return folder
