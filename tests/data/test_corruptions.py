"""Corruptions against other formulas and libraries, and the laws that all of them keep."""

import colorsys
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor

import hormesis as hm
from hormesis.data.corruptions import KINDS, SEVERITIES, Corruption
from hormesis.data.image_corruptions import disk
from hormesis.data.samples import Samples, take
from hormesis.errors import SettingError


def images(
    side: int = 16, channels: int = 3, count: int = 3, bounds: tuple[float, float] = (0.0, 1.0)
) -> Samples:
    generator = torch.Generator().manual_seed(side)
    inputs = torch.rand(count, channels, side, side, generator=generator)
    low, high = bounds
    labels = torch.arange(count) % 2
    return Samples(inputs * (high - low) + low, labels, bounds, 2, "images")


def apply(kind: str, severity: int, samples: Samples) -> Tensor:
    return Corruption(kind, severity).apply(samples).inputs


@pytest.mark.parametrize("kind", KINDS)
def test_laws(kind: str) -> None:
    """Shape, type and bounds stay, and a sample's own place decides what is drawn."""
    samples = images(12)
    for severity in (1, 5):
        corruption = Corruption(kind, severity)
        whole = corruption.apply(samples)
        assert whole.inputs.shape == samples.inputs.shape
        assert whole.inputs.dtype == torch.float32
        assert float(whole.inputs.min()) >= 0
        assert float(whole.inputs.max()) <= 1
        assert torch.equal(whole.labels, samples.labels)
        assert whole.name == f"{kind}:{severity}"
        assert not torch.equal(whole.inputs, samples.inputs) or (kind, severity) == ("pixelate", 1)
        places = torch.tensor([2, 0])
        placed = Samples(
            samples.inputs, samples.labels, (0.0, 1.0), 2, "images", places=torch.arange(3)
        )
        some = corruption.apply(take(placed, places)).inputs
        assert torch.equal(some, whole.inputs[places])


@pytest.mark.parametrize("kind", KINDS)
def test_bounds_are_those_of_the_data(kind: str) -> None:
    """Pixels from -1 to 1 are corrupted as those from 0 to 1."""
    one, other = images(12), images(12, bounds=(-1.0, 1.0))
    expected = apply(kind, 3, one) * 2 - 1
    atol = 2 / 255 if kind == "jpeg_compression" else 1e-5
    torch.testing.assert_close(apply(kind, 3, other), expected, atol=atol, rtol=0)


@pytest.mark.parametrize(("side", "sigma"), [(32, 0.08), (65, 0.18)])
def test_noise_has_the_published_spread(side: int, sigma: float) -> None:
    grey = Samples(torch.full((4, 3, side, side), 0.5), torch.arange(4), (0.0, 1.0), 4, "grey")
    change = apply("gaussian_noise", 3, grey) - 0.5
    assert float(change.mean()) == pytest.approx(0, abs=4 * sigma / change.numel() ** 0.5)
    assert float(change.std()) == pytest.approx(sigma, rel=0.05)
    photons = apply("shot_noise", 3, grey)
    most = {32: 100, 65: 12}[side]
    counts = photons.clamp(max=0.999) * most
    assert torch.allclose(counts, counts.round(), atol=1e-3) or side == 65
    assert float(photons.mean()) == pytest.approx(0.5, abs=0.02)
    share = {32: 0.03, 65: 0.09}[side]
    hit = apply("impulse_noise", 3, grey) != 0.5
    assert float(hit.float().mean()) == pytest.approx(share, rel=0.2)


def test_contrast_and_brightness() -> None:
    samples = images(8)
    mean = samples.inputs.mean(dim=(2, 3), keepdim=True)
    torch.testing.assert_close(
        apply("contrast", 2, samples), mean + 0.5 * (samples.inputs - mean), atol=1e-6, rtol=0
    )
    brighter = apply("brightness", 3, samples).movedim(1, -1).reshape(-1, 3)
    for pixel, own in zip(
        samples.inputs.movedim(1, -1).reshape(-1, 3).tolist(), brighter.tolist(), strict=True
    ):
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
        expected = colorsys.hsv_to_rgb(hue, saturation, min(value + 0.15, 1))
        np.testing.assert_allclose(own, expected, atol=1e-5)
    black = Samples(torch.zeros(2, 3, 4, 4), torch.arange(2), (0.0, 1.0), 2, "black")
    assert torch.allclose(apply("brightness", 3, black), torch.tensor(0.15))


def test_blurs() -> None:
    samples = images(16, count=2)
    own = apply("gaussian_blur", 5, samples)[0, 1].numpy()
    reach = np.arange(-4, 5)
    weights = np.exp(-(reach**2) / 2)
    weights /= weights.sum()
    padded = np.pad(samples.inputs[0, 1].numpy().astype(float), 4, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (9, 9))
    expected = (windows * np.outer(weights, weights)).sum(axis=(2, 3))
    np.testing.assert_allclose(own, expected, atol=1e-6)
    large = images(65, count=2)
    kernel = disk(6.0, 0.5)
    assert kernel.sum() == pytest.approx(1)
    blurred = apply("defocus_blur", 3, large)[1, 2].numpy()
    expected = ndimage.convolve(large.inputs[1, 2].double().numpy(), kernel, mode="mirror")
    np.testing.assert_allclose(blurred, expected, atol=1e-6)
    inside = np.hypot(*np.mgrid[-8:9, -8:9])
    assert kernel[inside < 5].min() == pytest.approx(kernel[8, 8])
    assert kernel[inside > 8].max() == pytest.approx(0, abs=1e-6)


def test_pixels_and_jpeg_are_those_of_pillow() -> None:
    samples = images(65, count=2)
    levels = (samples.inputs[0].numpy().transpose(1, 2, 0) * 255).round().astype(np.uint8)
    picture, file = Image.fromarray(levels), BytesIO()
    picture.save(file, "JPEG", quality=15)
    expected = np.asarray(Image.open(file)).transpose(2, 0, 1) / 255
    np.testing.assert_allclose(apply("jpeg_compression", 3, samples)[0], expected, atol=1e-6)
    small = picture.resize((26, 26), Image.Resampling.BOX)
    expected = np.asarray(small.resize((65, 65), Image.Resampling.BOX)).transpose(2, 0, 1) / 255
    np.testing.assert_allclose(apply("pixelate", 3, samples)[0], expected, atol=2 / 255)


def test_shifts_and_rotations_keep_what_is_there() -> None:
    inputs = torch.zeros(8, 1, 32, 32)
    inputs[:, :, 16, 16] = 1.0
    points = Samples(inputs, torch.arange(8) % 2, (0.0, 1.0), 2, "points")
    steps = torch.zeros(8, 2)
    for severity in SEVERITIES:
        moved = apply("shift", severity, points)
        assert torch.equal(moved.flatten(1).sum(dim=1), torch.ones(8))
        steps = moved.nonzero()[:, 2:] - 16
        assert int(steps.abs().amax(dim=1).min()) == severity
    assert len({tuple(step) for step in steps.tolist()}) > 1
    ramp = torch.linspace(0, 1, 32).expand(2, 1, 32, 32).contiguous()
    turned = apply("rotation", 5, Samples(ramp, torch.arange(2), (0.0, 1.0), 2, "ramp"))
    slope = np.gradient(turned[0, 0].numpy())
    angle = np.degrees(np.arctan2(slope[0][16, 16], slope[1][16, 16]))
    assert abs(angle) == pytest.approx(15, abs=0.1)


def test_grey_images_of_one_channel() -> None:
    for kind in KINDS:
        assert apply(kind, 3, images(12, channels=1)).shape == (3, 1, 12, 12)


TEXTS = ["the quick brown fox jumps over the lazy dog", "a small word", ""] * 4


def test_typos_and_dropped_words() -> None:
    for function in (hm.corruptions.typos, hm.corruptions.dropped_words):
        assert function(TEXTS, 0) == TEXTS
        changed = function(TEXTS, 0.5, seed=1)
        assert changed == function(TEXTS, 0.5, seed=1)
        assert changed != function(TEXTS, 0.5, seed=2)
        assert changed[:5] == function(TEXTS[:5], 0.5, seed=1)
        assert changed[2] == ""
        with pytest.raises(SettingError, match="`rate` from 0 to 1"):
            function(TEXTS, 1.5)
        with pytest.raises(SettingError, match="a list of texts"):
            function("one text", 0.5)
    shorter = hm.corruptions.dropped_words(TEXTS, 1)
    assert all(
        len(one.split()) == 1 and one in text.split()
        for one, text in zip(shorter, TEXTS, strict=True)
        if text
    )
    many = hm.corruptions.dropped_words(["word " * 2000], 0.3)[0]
    assert len(many.split()) == pytest.approx(1400, abs=100)
    letters = "ab" * 5000
    (typed,) = hm.corruptions.typos([letters], 0.1)
    assert 0 < abs(len(typed) - len(letters)) < 200 or typed != letters


def test_names() -> None:
    assert hm.corruptions.by_name("shift:4") == hm.corruptions.shift(4)
    for name, words in (
        ("shift:x", "severity"),
        ("shft:1", "Did you mean shift"),
        ("shift:7", "5"),
    ):
        with pytest.raises(SettingError, match=words):
            hm.corruptions.by_name(name)
    makers = [getattr(hm.corruptions, kind)() for kind in KINDS]
    assert [one.kind for one in makers] == [*KINDS]
