"""The page as text: one file, safe whatever names it holds."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import handset
import synthetic
from handset import ANTIFRAGILE, FRAGILE, ROBUST
from hormesis.errors import StudyError
from hormesis.report.html.page import to_script_json, write_report

HOSTILE = "</script><img src=x onerror=alert(1)>\u2028"


def blocks(page: Path) -> dict[str, dict]:
    text = page.read_text(encoding="utf-8")
    found = re.findall(r'<script type="application/json" id="([\w-]+)">(.*?)</script>', text)
    return {name: json.loads(block) for name, block in found}


def test_the_page_holds_the_study(tmp_path):
    study = handset.study({"a.weight": ANTIFRAGILE, "b.weight": FRAGILE})
    page = write_report(study, tmp_path / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    found = blocks(page)
    assert list(found) == ["shared", "study-0"]
    assert found["study-0"]["targets"]["name"] == ["a.weight", "b.weight"]
    own = study.scores.loc[study.scores["filter"] == "combined"]
    for score in ("clean", "adversarial", "difference"):
        rows = own.loc[own["score"] == score]
        shown = found["study-0"]["scores"]["combined"][score]
        assert shown["value"] == rows["value"].tolist()
        assert [found["study-0"]["classes"][code] for code in shown["class"]] == (
            rows["class"].tolist()
        )


def test_nothing_is_asked_of_a_network(tmp_path):
    text = write_report(handset.study({"a": ROBUST}), tmp_path / "r.html").read_text("utf-8")
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", text)
    assert "@import" not in text
    assert "default-src 'none'" in text
    assert [url for url in re.findall(r"https?://[^\s\"']+", text) if "w3.org" not in url] == []


def test_names_stay_text(tmp_path):
    study = handset.study({HOSTILE: ROBUST})
    study.manifest["question"]["network"]["name"] = HOSTILE
    page = write_report(study, tmp_path / "r.html", title=HOSTILE)
    text = page.read_text(encoding="utf-8")
    assert "<img" not in text
    assert text.count("</script>") == text.count("<script")
    assert blocks(page)["study-0"]["targets"]["name"] == [HOSTILE]


def test_markers_in_names_are_not_filled_in(tmp_path):
    page = write_report(handset.study({"{{script}}": ROBUST}), tmp_path / "r.html")
    assert blocks(page)["study-0"]["targets"]["name"] == ["{{script}}"]


def test_every_character_that_could_end_a_script_is_escaped():
    assert not set("<>&\u2028\u2029") & set(to_script_json({"<>&\u2028\u2029": "<>&\u2028\u2029"}))
    assert json.loads(to_script_json({"<>&\u2028": 1})) == {"<>&\u2028": 1}


def test_a_page_that_reads_itself_again(tmp_path):
    study = handset.study({"a": ROBUST})
    assert '<meta name="again"' not in write_report(study, tmp_path / "a.html").read_text("utf-8")
    again = write_report(study, tmp_path / "b.html", refresh=5).read_text("utf-8")
    assert '<meta name="again" content="5">' in again


def test_an_unfinished_study_says_so(tmp_path):
    whole = handset.study({"a": ROBUST})
    study = handset.study({"a": ROBUST}, **handset.UNFINISHED)
    assert blocks(write_report(study, tmp_path / "r.html"))["study-0"]["finished"] is False
    assert blocks(write_report(whole, tmp_path / "r.html"))["study-0"]["finished"] is True


def test_a_page_of_resnet50s_size_stays_small(tmp_path):
    generator = np.random.default_rng(0)
    of = synthetic.network(generator, targets=54)
    page = write_report(synthetic.study(of, of.outcomes(40, generator)), tmp_path / "r.html")
    assert page.stat().st_size < 1_000_000  # of 6 that it may have


def test_an_empty_report_is_refused(tmp_path):
    with pytest.raises(StudyError, match="A report needs at least one study or retraining"):
        write_report([], tmp_path / "r.html")


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(StudyError, match=r"The report cannot be written to .*nowhere.*`out`"):
        write_report(handset.study({"a": ROBUST}), tmp_path / "nowhere" / "r.html")
    assert list(tmp_path.iterdir()) == []
