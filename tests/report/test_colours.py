"""The page's colours: readable on their ground by WCAG 2.2, level AA."""

import re
from importlib.resources import files
from itertools import combinations

import pytest

CSS = (files("hormesis.report.html") / "templates" / "page.css").read_text(encoding="utf-8")
TEXT = ("ink", "soft", "fragile", "robust", "antifragile", "undecided")
LINES = ("clean", "adversarial", "reference", "focus")


def palette(theme: str) -> dict[str, str]:
    pattern = r":root\[data-theme=\"dark\"\] \{(.*?)\}" if theme == "dark" else r":root \{(.*?)\}"
    found = re.search(pattern, CSS, flags=re.DOTALL)
    assert found is not None
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", found[1]))


def luminance(code: str) -> float:
    parts = [int(code[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_by_the_book():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("ground", ["ground", "raised", "zone"])
def test_text_stands_out(theme, ground):
    colours = palette(theme)
    for name in TEXT:
        assert contrast(colours[name], colours[ground]) >= 4.5, name
    for name in LINES:
        assert contrast(colours[name], colours[ground]) >= 3, name


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_letters_on_bars_stand_out(theme):
    colours = palette(theme)
    for name in ("fragile", "robust", "antifragile"):
        assert contrast(colours["ground"], colours[name]) >= 4.5


def seen(code: str, kind: str) -> tuple[float, ...]:
    """A colour as people with a colour vision deficiency see it (Machado and others, 2009)."""
    matrix = {
        "protanopia": ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
        "deuteranopia": ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)),
    }[kind]
    parts = [int(code[place : place + 2], 16) for place in (1, 3, 5)]
    return tuple(sum(f * p for f, p in zip(row, parts, strict=True)) for row in matrix)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["protanopia", "deuteranopia"])
def test_classes_and_curves_differ_for_colour_blind_eyes(theme, kind):
    colours = palette(theme)
    for group in (("fragile", "robust", "antifragile"), ("clean", "adversarial", "reference")):
        for one, other in combinations(group, 2):
            pair = zip(seen(colours[one], kind), seen(colours[other], kind), strict=True)
            assert sum((a - b) ** 2 for a, b in pair) ** 0.5 > 45, (one, other)
