"""What a notebook displays of studies."""

import re
from html.parser import HTMLParser
from pathlib import Path

import handset
from handset import ANTIFRAGILE, FRAGILE, ROBUST
from hormesis.results.series import StudySeries

CURVES = {"conv.weight": ANTIFRAGILE, "fc.weight": FRAGILE, "w": ROBUST}
NASTY = "<img src=x onerror=alert(1)>"


class Reader(HTMLParser):
    """The text and the tags of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.texts.append(data)


def test_a_study_shows_its_summary_and_every_score():
    found = Reader(handset.study(CURVES)._repr_html_())
    assert "tiny on made up: 10 samples, 2 classes" in found.texts
    assert "A note." in found.texts
    assert "clean: 1 fragile, 1 robust, 1 antifragile" in found.texts
    assert found.texts.count("−0.33 F") == 2
    assert found.texts.count("+0.50 A") == found.texts.count("+0.50 U") == 1
    assert not {"script", "style", "img", "svg", "link"} & set(found.tags)


def test_names_stay_text():
    page = handset.study({NASTY: ROBUST})._repr_html_()
    assert "<img" not in page
    assert NASTY in Reader(page).texts


def test_it_reads_on_light_and_on_dark():
    page = handset.study(CURVES)._repr_html_()
    cells = re.findall(r'<td style="([^"]*)"', page)
    assert len(cells) == 9
    for style in cells:
        assert ("background:" in style) == (";color:" in style)
    assert "color:inherit" in page


def test_a_score_that_is_none_is_a_word():
    study = handset.study({"w": ROBUST}, base={"clean": 0.8, "adversarial": 0.0, "samples": 10})
    assert Reader(study._repr_html_()).texts.count("undefined") == 2


def test_studies_of_epochs_show_theirs():
    studies = StudySeries({1: handset.study(CURVES), 5: handset.study(CURVES)}, Path("run"))
    found = Reader(studies._repr_html_())
    assert {"epoch 1", "epoch 5", "combined filter, adversarial score"} <= set(found.texts)
    assert found.texts.count("+0.50 U") == 2


def test_many_targets_are_cut():
    study = handset.study({f"layer{n}.weight": ROBUST for n in range(203)})
    assert "3 more targets are in study.scores" in Reader(study._repr_html_()).texts
