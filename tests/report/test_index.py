"""The gallery: a page for each study, and an index with a table that sorts."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handset
import synthetic
from browser import AXE_CHECK, axe_script, chromium
from handset import ANTIFRAGILE, FRAGILE, ROBUST
from hormesis.cli.app import main
from hormesis.errors import StudyError
from hormesis.report.html.index_page import write_index
from hormesis.report.views.index_rows import index_rows
from hormesis.report.views.sources import gather
from hormesis.results.study import Study
from hormesis.storage.ownership import GALLERY, owner

HOSTILE = "<img src=x onerror=alert(1)>"


def study(name: str, seed: int = 0, *, samples: int = 60) -> Study:
    generator = np.random.default_rng(seed)
    of = synthetic.network(generator, targets=3, steps=5)
    made = synthetic.study(of, of.outcomes(samples, generator))
    made.manifest["question"]["network"] = {"name": name, "fingerprint": f"{seed:064d}"}
    return made


def clean_only() -> Study:
    made = handset.study({"a.weight": ANTIFRAGILE, "b.weight": FRAGILE, "c": ROBUST})
    made.manifest["question"]["attack"] = made.manifest["attack"] = {"name": "none"}
    made.manifest["base"] = {"clean": 0.8, "higher_is_better": True, "samples": 10}
    return Study(made.manifest, made.targets, made.responses.assign(adversarial=np.nan), None)


@pytest.fixture(scope="module")
def studies() -> list[Study]:
    return [study("net10"), study("net9", 1, samples=80), study(HOSTILE, 2), clean_only()]


@pytest.fixture(scope="module")
def index(studies: list[Study], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_index(studies, tmp_path_factory.mktemp("pages") / "gallery", title="Four & more")


@pytest.fixture(scope="module")
def page(index: Path) -> Iterator[Any]:
    with chromium() as browser:
        opened = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="light")
        wrong = []
        opened.on("pageerror", lambda error: wrong.append(str(error)))
        opened.on("dialog", lambda dialog: wrong.append("a dialog"))
        opened.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        opened.goto(index.as_uri())
        yield opened
        assert wrong == []


def column(page: Any, name: str) -> list[str]:
    heads = page.locator("#studies thead th").all_inner_texts()
    rows = page.eval_on_selector_all(
        "#studies tbody tr", "rows => rows.map(row => [...row.cells].map(cell => cell.innerText))"
    )
    return [row[heads.index(name)].strip() for row in rows]


def test_every_number_is_that_of_the_study(page, index, studies):
    numbers = {
        name: column(page, name) for name in ("fragile", "robust", "antifragile", "clean accuracy")
    }
    for place, one in enumerate(studies):
        own = one.scores.loc[one.scores["filter"] == "combined"]
        score = "adversarial" if one.stressed else "clean"
        classes = own.loc[own["score"] == score, "class"]
        for name in ("fragile", "robust", "antifragile"):
            assert numbers[name][place] == str((classes == name).sum())
        assert numbers["clean accuracy"][place] == f"{100 * one.base.clean:.1f}\u202f%"
    assert column(page, "adversarial accuracy")[-1] == "-"


def test_shares_are_those_of_the_values(page, studies):
    rows = index_rows(gather(studies))
    for row, label in zip(
        rows,
        page.locator("#studies .bar").evaluate_all(
            "all => all.map(e => e.getAttribute('aria-label'))"
        ),
        strict=True,
    ):
        shares = [float(number) for number in re.findall(r"([\d.]+) %", label)]
        total = sum(count.values for count in row.counts)
        expected = [100 * count.values / total for count in row.counts]
        assert shares == pytest.approx(expected, abs=0.051)


def test_it_sorts_by_click_and_by_keyboard(page):
    head = page.locator("#studies thead th", has_text="samples").locator("button")
    head.click()
    assert column(page, "samples") == ["10", "60", "60", "80"]
    head.press("Enter")
    assert column(page, "samples") == ["80", "60", "60", "10"]
    assert head.evaluate("each => each.parentElement.getAttribute('aria-sort')") == "descending"
    page.locator("#studies thead th", has_text="network").locator("button").press("Enter")
    names = column(page, "network")
    assert names.index("net9") < names.index("net10")  # numbers in names by their size
    missing = page.locator("#studies thead th", has_text="ε").locator("button")
    for _ in range(2):
        missing.click()
        assert column(page, "ε")[-1] == "-"


def test_names_stay_text_and_links_lead_to_the_pages(page, index):
    assert HOSTILE in column(page, "network")
    assert page.locator("img").count() == 0
    links = page.locator("#studies a").evaluate_all(
        "all => all.map(each => each.getAttribute('href'))"
    )
    assert sorted(links) == sorted(
        path.name for path in index.parent.glob("*.html") if path != index
    )
    assert page.locator("h1").inner_text() == "Four & more"


def test_axe_finds_nothing(page):
    page.evaluate(axe_script())
    for width, theme in ((1440, "light"), (375, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        assert page.evaluate(AXE_CHECK, [{"target-size": {"enabled": True}}, []]) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_second_time_writes_the_same_and_leaves_the_rest(studies, tmp_path):
    folder = tmp_path / "gallery"
    first = write_index(studies[:2], folder)
    before = first.read_bytes()
    (folder / "notes.txt").write_text("mine")
    assert write_index(studies[:2], folder).read_bytes() == before
    assert (folder / "notes.txt").read_text() == "mine"
    marker = owner(folder)
    assert marker is not None
    assert marker.kind == GALLERY
    other = [study("net10"), study("NET10", 1)]  # one file on some systems
    assert (
        len({page.name.lower() for page in write_index(other, tmp_path / "b").parent.iterdir()})
        == 4
    )


def test_what_is_no_gallery_stays_as_it_is(studies, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StudyError, match=r"holds something else, such as 'notes.txt': choose"):
        write_index(studies, tmp_path)
    with pytest.raises(StudyError, match=r"notes\.txt is a file"):
        write_index(studies, tmp_path / "notes.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    curves = {"a.weight": ANTIFRAGILE, "b.weight": FRAGILE, "c": ROBUST}
    for name in ("one", "two"):
        made = handset.study(curves)
        handset.write(tmp_path / name, (made.manifest, made.targets, made.responses))
    assert main(["report", "one", "two", "--index"]) == 0
    assert capsys.readouterr().out == f"index:   {Path('gallery', 'index.html')}\n"
    assert len(list(Path("gallery").glob("*.html"))) == 3
    assert main(["report", "one", "--index", "--out", "page.html"]) == 2
    assert "Expected `--out` to be a folder, as `--index` writes several" in capsys.readouterr().err
    assert main(["report", "one", "--index", "--out", "."]) == 2
    assert "holds something else, such as" in capsys.readouterr().err
