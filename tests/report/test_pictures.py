"""Pictures of Matplotlib within a page: no styles, names of their own, and words."""

import re

import handset
from handset import FRAGILE, ROBUST
from hormesis.report.html.page import write_report
from hormesis.report.html.pictures import inline_svg
from hormesis.report.views.palette import LINES

STUDY = handset.study({"<b>": ROBUST, "b": FRAGILE})


def test_nothing_is_left_that_a_strict_policy_forbids():
    text = inline_svg(STUDY.plot.heatmap(), "one", "in words")
    assert "style" not in text
    assert "xmlns" not in text
    assert "<b>" not in text
    assert 'aria-label="in words"' in text
    assert 'role="img"' in text


def test_names_within_are_those_of_the_picture_and_are_there():
    text = inline_svg(STUDY.plot.responses(), "one", "in words")
    names = re.findall(r' id="([^"]+)"', text)
    assert names
    assert all(name.startswith("one-") for name in names)
    referred = re.findall(r"""(?:url\(|href=")#([^")]+)""", text)
    assert set(referred) == set(names)
    assert LINES["clean"].colour.light in text.lower()  # a colour is no name


def test_the_same_picture_has_the_same_text():
    texts = {inline_svg(STUDY.plot.heatmap(), "one", "in words") for _ in range(2)}
    assert len(texts) == 1


def test_a_page_that_follows_a_study_draws_none(tmp_path):
    page = write_report(STUDY, tmp_path / "live.html", refresh=5).read_text(encoding="utf-8")
    assert "data-picture=" not in page.partition("<script>")[0]
    page = write_report(STUDY, tmp_path / "last.html").read_text(encoding="utf-8")
    assert 'data-picture="heatmap-0"' in page
