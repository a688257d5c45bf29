"""The palette: readable on its grounds by WCAG 2.2, level AA, and the only source of colours."""

import re
from importlib.resources import files
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.markers import MarkerStyle

import hormesis
from hormesis.analysis.classes import CLASSES
from hormesis.report.plots import style
from hormesis.report.views import palette
from hormesis.report.views.palette import CLASS_LOOKS, LINES, PAGE, Colour
from hormesis.stress.filters import NAMED_FILTERS
from hormesis.training.selection import ARMS

SOURCE = Path(hormesis.__file__).parent
CSS = (files("hormesis.report.html") / "templates" / "page.css").read_text(encoding="utf-8")
GROUNDS = ("ground", "raised", "zone")
THEMES = ("light", "dark")


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


def shown(colour: Colour, theme: str) -> str:
    return getattr(colour, theme)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("ground", GROUNDS)
def test_text_and_lines_stand_out(theme, ground):
    below = shown(PAGE[ground], theme)
    texts = [PAGE["ink"], PAGE["soft"], *(look.colour for look in CLASS_LOOKS.values())]
    for colour in texts:
        assert contrast(shown(colour, theme), below) >= 4.5, colour
    for colour in [PAGE["focus"], *(look.colour for look in LINES.values())]:
        assert contrast(shown(colour, theme), below) >= 3, colour


@pytest.mark.parametrize("theme", THEMES)
def test_letters_on_bars_and_hints_stand_out(theme):
    ground = shown(PAGE["ground"], theme)
    for colour in [PAGE["ink"], *(look.colour for look in CLASS_LOOKS.values())]:
        assert contrast(ground, shown(colour, theme)) >= 4.5


@pytest.mark.parametrize("looks", [palette.FILTERS, palette.ARMS])
def test_lines_of_plots_stand_out_from_paper(looks):
    for name, look in looks.items():
        assert contrast(look.colour.light, palette.PAPER) >= 3, name
        assert contrast(look.colour.dark, PAGE["ground"].dark) >= 3, name
    greenest = mpl.colormaps[palette.SEQUENTIAL](palette.SEQUENTIAL_END)
    assert contrast(to_hex(greenest), palette.PAPER) >= 3


def seen(code: str, kind: str) -> tuple[float, ...]:
    """A colour as people with a colour vision deficiency see it (Machado and others, 2009)."""
    matrix = {
        "protanopia": ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
        "deuteranopia": ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)),
    }[kind]
    parts = [int(code[place : place + 2], 16) for place in (1, 3, 5)]
    return tuple(sum(f * p for f, p in zip(row, parts, strict=True)) for row in matrix)


BESIDE = {
    "classes": {name: CLASS_LOOKS[name].colour for name in ("fragile", "robust", "antifragile")},
    "curves": {name: look.colour for name, look in LINES.items()},
    "curves and classes": {
        "adversarial": LINES["adversarial"].colour,
        "fragile": CLASS_LOOKS["fragile"].colour,
    },
}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("kind", ["protanopia", "deuteranopia"])
@pytest.mark.parametrize("group", BESIDE)
def test_colours_side_by_side_differ_for_colour_blind_eyes(theme, kind, group):
    for one, other in combinations(BESIDE[group], 2):
        colours = (shown(BESIDE[group][name], theme) for name in (one, other))
        pair = zip(*(seen(colour, kind) for colour in colours), strict=True)
        assert sum((a - b) ** 2 for a, b in pair) ** 0.5 > 45, (one, other)


def test_every_score_is_read_from_its_cell():
    """The letters of a heat map stand out over the whole scale of its colours."""
    shades = mpl.colormaps[palette.DIVERGING](np.linspace(0, 1, 2001))
    for shade in [*shades, (*to_rgb(palette.MISSING_COLOUR), 1.0)]:
        letters = to_hex(palette.letters_on(np.array(shade)))
        assert contrast(letters, to_hex(shade)) >= 4.5


def test_no_class_and_no_line_is_told_by_its_colour_alone():
    assert list(CLASS_LOOKS) == list(CLASSES)
    marks = [(look.mark.path, look.filled) for name, look in CLASS_LOOKS.items()]
    assert len(set(marks)) == len(marks) - 1  # untested and undefined are one to a reader
    for look in CLASS_LOOKS.values():
        MarkerStyle(look.mark.marker)  # which Matplotlib knows
    by_path = {look.mark.path: look.mark.marker for look in CLASS_LOOKS.values()}
    assert len(set(by_path.values())) == len(by_path)  # the same shape on pages and in plots
    assert len({look.dashes for look in LINES.values()}) == len(LINES)
    assert len({look.dashes for look in palette.FILTERS.values()}) == len(palette.FILTERS)
    assert set(palette.FILTERS) <= set(NAMED_FILTERS)
    assert set(palette.ARMS) == set(ARMS)


def test_the_page_and_the_plots_take_their_colours_from_the_palette():
    css = palette.css_variables()
    for name, look in CLASS_LOOKS.items():
        assert css.count(f"--{CLASSES[name].slug}: ") == 2
        assert f"--{CLASSES[name].slug}: {look.colour.light};" in css
    names = set(re.findall(r"--([\w-]+): #", css))
    scripts = [path.read_text("utf-8") for path in (SOURCE / "report/html/templates").glob("*.js")]
    used = set(re.findall(r"var\(--([\w-]+)\)", "\n".join([CSS, *scripts])))
    assert used - {"serif", "sans"} <= names
    lines = (style.CLEAN, style.ADVERSARIAL, style.REFERENCE)
    assert [line["color"] for line in lines] == [look.colour.light for look in LINES.values()]


def test_no_other_file_holds_a_colour():
    allowed = {"report/views/palette.py", "report/html/templates/page.css"}
    places = [*SOURCE.rglob("*.py"), *SOURCE.rglob("*.js"), *SOURCE.rglob("*.css")]
    holding = {
        path.relative_to(SOURCE).as_posix()
        for path in places
        if re.search(r"#[0-9a-fA-F]{6}\b", path.read_text(encoding="utf-8"))
    }
    assert holding <= allowed
    assert set(re.findall(r"#[0-9a-fA-F]{6}\b", CSS)) <= {palette.PAPER}  # the card of a plot
