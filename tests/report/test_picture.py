"""The picture of a study: drawn for any study, with the words as they are."""

import struct
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib as mpl
import pytest

import handset
from handset import ANTIFRAGILE, FRAGILE, ROBUST
from hormesis.report.plots.overview import draw_overview
from hormesis.results.study import Study

CURVES = (ANTIFRAGILE, FRAGILE, ROBUST)


def many(count: int) -> dict[str, tuple[float, float, float]]:
    return {f"layer{n}.weight": CURVES[n % 3] for n in range(count)}


def words(study: Study, folder: Path) -> list[str]:
    """Return the texts of the picture, one entry a line of text."""
    with mpl.rc_context({"svg.fonttype": "none"}):
        draw_overview(study, folder / "words.svg")
    tree = ElementTree.parse(folder / "words.svg")
    texts = [element for element in tree.iter() if element.tag.endswith("}text")]
    return [" ".join("".join(text.itertext()).split()) for text in texts]


STUDIES = {
    "one target": handset.study({"w": ROBUST}),
    "two targets": handset.study(many(2)),
    "as many as fit": handset.study(many(60)),
    "one filter": handset.study(many(3), ("low_pass",)),
    "two filters": handset.study(many(3), ("pulse_wave", "low_pass")),
    "no number": handset.study(many(3), base={"clean": 0.0, "adversarial": 0.0}),
    "floored": handset.study(many(3), base={"clean": 0.8, "adversarial": 0.0}),
    "unreached": handset.study(many(3), unreached=("layer0.weight",)),
    "nothing reached": handset.study(many(2), unreached=tuple(many(2))),
    "names": handset.study(dict.fromkeys(["[bold]x", "$x$", "$\\frac{$", "a_b^c", "αé"], ROBUST)),
    "a long name": handset.study({"l" * 200: ROBUST, "b": FRAGILE}),
    "a blank": handset.study({" ": ROBUST}),
}


@pytest.mark.parametrize("name", STUDIES)
def test_drawn_as_png(name, tmp_path):
    path = tmp_path / "overview.png"
    draw_overview(STUDIES[name], path)
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n")
    width, height = struct.unpack(">II", content[16:24])
    assert width == 11 * 150
    assert height >= 4 * 150


@pytest.mark.parametrize("suffix", ["svg", "pdf"])
def test_drawn_in_other_formats(suffix, tmp_path):
    path = tmp_path / f"overview.{suffix}"
    draw_overview(STUDIES["two targets"], path)
    assert path.stat().st_size > 1000
    assert path.read_bytes()[:5] in (b"<?xml", b"%PDF-")


def test_rows_and_panels_say_what_they_are(tmp_path):
    found = words(STUDIES["two targets"], tmp_path)
    assert found.count("layer0") == 1 + 3  # a row and the panels of three filters
    assert found.count("+0.50 antifragile") == found.count("+0.50 unconfirmed") == 1
    assert found.count("-0.33 fragile") == 2
    assert found.count("+0.00 robust") == 2
    for name in ("high pass", "low pass", "pulse wave"):
        assert found.count(name) == 2
    for word in ("clean", "adversarial", "density (share kept)", "combined scores", "accuracy"):
        assert word in found
    assert "tiny on made up, 10 samples; FGSM, ε = 0.25" in found


def test_only_filters_that_were_swept_have_a_panel(tmp_path):
    found = words(STUDIES["one filter"], tmp_path)
    assert found.count("low pass") == 3
    assert "high pass" not in found
    assert "low pass scores" in found


def test_names_are_drawn_as_they_are(tmp_path):
    found = words(STUDIES["names"], tmp_path)
    assert {"[bold]x", "$x$", "$\\frac{$", "a_b^c", "αé"} <= set(found)


def test_of_a_long_name_the_end_is_drawn(tmp_path):
    layers = {f"encoder.layers.encoder_layer_{n}.attention.out_proj": ROBUST for n in (10, 11)}
    found = words(handset.study(layers), tmp_path)
    assert "…coder_layer_11.attention.out_proj" in found
    assert "…coder_layer_10.attention.out_proj" in found


def test_a_picture_of_some_targets_says_so(tmp_path):
    found = words(handset.study(many(62)), tmp_path)
    assert any(word.endswith("; the first 60 of 62 targets") for word in found)
    assert "layer59" in found
    assert not any("first" in word for word in words(STUDIES["two targets"], tmp_path))


def test_without_numbers_the_classes_stand_alone(tmp_path):
    assert words(STUDIES["no number"], tmp_path).count("undefined") == 9
    assert words(STUDIES["nothing reached"], tmp_path).count("untested") == 6


def test_letters_that_the_font_lacks_are_told(tmp_path):
    with pytest.warns(UserWarning, match="Glyph .* missing from font"):
        draw_overview(handset.study({"层": ROBUST}), tmp_path / "overview.png")
    assert (tmp_path / "overview.png").stat().st_size > 0


def test_the_users_own_settings_of_matplotlib_stay(tmp_path):
    before = dict(mpl.rcParams)
    draw_overview(STUDIES["one target"], tmp_path / "overview.png")
    assert dict(mpl.rcParams) == before
