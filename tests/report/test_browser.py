"""The page in a real browser: what it loads, what a click does, what it says."""

import csv
import io
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handset
import synthetic
from browser import chromium
from handset import ANTIFRAGILE, FRAGILE, ROBUST
from hormesis.report.html.page import write_report
from hormesis.results.comparison import compare
from hormesis.results.study import Study
from hormesis.settings.scoring import Scoring

HOSTILE = "<img src=x onerror=alert(1)>"
NAMES = ["conv1.weight", HOSTILE, "</script><b>bold</b>", "=SUM(A1)", "layer.0.conv.weight", "fc"]

BASE = {"clean": 0.8, "adversarial": 0.4, "higher_is_better": True, "samples": 10}


class Named(synthetic.Network):
    @property
    def targets(self) -> list[str]:
        return NAMES[: len(self.shift)]


def study(seed: int = 0) -> Study:
    generator = np.random.default_rng(seed)
    drawn = synthetic.network(generator, targets=len(NAMES), steps=7)
    of = Named(drawn.margin, drawn.drop, drawn.shift, drawn.noise)
    made = synthetic.study(of, of.outcomes(300, generator))
    made.manifest["question"]["network"]["fingerprint"] = f"{seed:064d}"
    made.manifest["origin"] = {"epoch": seed}
    made.targets["size"] = 6  # as many as the last threshold removes
    nodes = [([NAMES[0]], []), ([NAMES[1]], [0]), ([NAMES[2]], [1]), ([], [0, 2])]
    nodes += [([NAMES[3]], [3]), ([NAMES[4]], [4]), ([NAMES[5]], [5])]
    made.manifest["flow"] = [{"targets": t, "after": a} for t, a in nodes]
    return made


@pytest.fixture(scope="module")
def one() -> Study:
    return study()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, one: Study) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    return {
        "one": write_report(one, folder / "one.html"),
        "several": write_report([one, study(1), study(2)], folder / "several.html"),
    }


class Opened:
    """A page, and what went wrong on it."""

    def __init__(self, browser: Any, path: Path, *, width: int = 1200, dark: bool = False) -> None:
        scheme = "dark" if dark else "light"
        size = {"width": width, "height": 900}
        # Without smooth scrolling, which would carry what is clicked away from the pointer.
        still = {"color_scheme": scheme, "reduced_motion": "reduce"}
        self.page = browser.new_page(viewport=size, accept_downloads=True, **still)
        self.page.set_default_timeout(8000)
        self.wrong: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: self.wrong.append("a dialog opened"))
        self.page.on("console", self._noted)
        self.page.on("request", self._requested)
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-ready]", state="attached", timeout=20_000)

    def _noted(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(message.text)

    def _requested(self, request: Any) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            self.wrong.append(request.url)

    def downloaded(self, button: str) -> list[list[str]]:
        with self.page.expect_download() as waiting:
            self.page.get_by_role("button", name=button).click()
        text = Path(waiting.value.path()).read_text(encoding="utf-8")
        return list(csv.reader(io.StringIO(text)))


@pytest.fixture(scope="module")
def opened(browser: Any, files: dict[str, Path]) -> Iterator[Opened]:
    made = Opened(browser, files["one"])
    yield made
    assert made.wrong == []
    made.page.close()


def odd_studies() -> dict[str, Any]:
    """Studies that lack something the page draws, or have it in another form."""
    curves = {"a.weight": ANTIFRAGILE, "b.weight": FRAGILE, "c": ROBUST}
    loss = handset.study(curves, base={**BASE, "higher_is_better": False})
    loss.manifest["question"]["performance"] = {"name": "loss", "higher_is_better": False}
    random = handset.study(curves, scoring=asdict(Scoring(reference="random")))
    for side in ("clean", "adversarial"):
        random.responses[f"random_{side}"] = random.responses[side] / 2
    together = handset.study({"all": ROBUST})
    together.targets.loc[0, ["kind", "shape"]] = ["global", ""]
    channels = handset.study({"a.weight[0]": ROBUST, "a.weight[1]": FRAGILE, "b.weight[0]": ROBUST})
    channels.manifest["question"]["targets"]["per"] = "channel"
    unfinished = handset.study(curves, **handset.UNFINISHED)
    other = handset.study(curves)
    other.manifest["question"]["sweep"]["adversary"] = "adaptive"
    return {
        "without intervals": handset.study(curves),
        "a loss": loss,
        "floored": handset.study(curves, base={**BASE, "adversarial": 0.0}),
        "hopeless": handset.study(curves, base={**BASE, "clean": 0.0, "adversarial": 0.0}),
        "untested": handset.study(curves, unreached=tuple(curves)),
        "by the first response": handset.study(curves, scoring=asdict(Scoring(base="first"))),
        "against random removal": random,
        "one filter": handset.study(curves, ("pulse_wave",)),
        "together": together,
        "channels": channels,
        "unfinished": unfinished,
        "not comparable": [handset.study(curves), other],
    }


ODD = odd_studies()


@pytest.mark.parametrize("name", ODD)
def test_odd_studies_are_drawn_without_errors(browser, tmp_path, name):
    made = Opened(browser, write_report(ODD[name], tmp_path / "odd.html"))
    rows = made.page.locator("#network g.row")
    for place in range(rows.count()):
        rows.nth(place).click()
    for chart in made.page.locator("#panel svg[data-filter]").all():
        chart.press("ArrowRight")
    made.page.locator('#panel input[value="false"]').check(force=True)
    text = made.page.locator("body").inner_text()
    assert not {"NaN", "undefined to", "[object", "null"} & set(text.split())
    assert "NaN" not in text
    assert ("Not finished:" in text) == (name == "unfinished")
    assert made.wrong == []
    made.page.close()


def row(opened: Opened, name: str) -> Any:
    return opened.page.locator("#network g.row").nth(NAMES.index(name))


def panel(opened: Opened) -> str:
    return opened.page.locator("#panel h3").inner_text()


@pytest.mark.parametrize("which", ["one", "several"])
@pytest.mark.parametrize(("width", "dark"), [(1440, False), (375, True)])
def test_it_loads_without_errors_requests_or_overflow(browser, files, which, width, dark):
    made = Opened(browser, files[which], width=width, dark=dark)
    assert made.page.evaluate("document.documentElement.dataset.theme") == (
        "dark" if dark else "light"
    )
    assert made.page.evaluate("document.documentElement.scrollWidth") <= width
    assert made.page.locator("section").count() == (6 if which == "one" else 8)
    assert made.wrong == []
    made.page.close()


def test_names_stay_text(opened):
    assert opened.page.locator("img").count() == 0
    assert opened.page.locator("b", has_text="bold").count() == 0
    assert HOSTILE in opened.page.locator("#targets").inner_text()
    assert "</script><b>bold</b>" in opened.page.locator("#targets").inner_text()


def test_a_click_on_a_layer_opens_its_curves(opened):
    row(opened, "layer.0.conv.weight").click()
    assert panel(opened) == "layer.0.conv"
    charts = opened.page.locator("#panel svg[data-filter]")
    assert [charts.nth(place).get_attribute("data-filter") for place in range(3)] == [
        "high_pass",
        "low_pass",
        "pulse_wave",
    ]
    row(opened, HOSTILE).click()
    assert panel(opened) == HOSTILE


def test_the_keyboard_walks_the_network(opened):
    row(opened, "conv1.weight").click()
    opened.page.keyboard.press("ArrowDown")
    opened.page.keyboard.press("ArrowDown")
    assert panel(opened) == "conv1"  # walking does not choose
    opened.page.keyboard.press("Enter")
    assert panel(opened) == NAMES[2]
    opened.page.keyboard.press("End")
    opened.page.keyboard.press(" ")
    assert panel(opened) == "fc"


def test_a_threshold_shades_what_it_removes(opened, one):
    row(opened, "conv1.weight").click()
    chart = opened.page.locator('#panel svg[data-filter="high_pass"]')
    chart.focus()
    for _ in range(3):
        chart.press("ArrowRight")
    assert opened.page.locator("#panel rect.gone").count() == 2
    cells = one.responses.loc[
        (one.responses["target"] == "conv1.weight") & (one.responses["filter"] == "high_pass")
    ]
    said = opened.page.locator("#panel .says").inner_text()
    assert f"removes {cells['zeroed'].iloc[2]} of" in said
    assert f"{100 * cells['clean'].iloc[2]:.1f}\u202f%" in said


def test_the_table_has_the_numbers_of_the_study(opened, one):
    for name in ("high_pass", "combined"):
        opened.page.locator(f'#bar input[value="{name}"]').check(force=True)
        rows = one.scores.loc[one.scores["filter"] == name].set_index(["target", "score"])
        for place, target in enumerate(NAMES):
            for score in ("clean", "adversarial", "difference"):
                cell = opened.page.locator(
                    f'#targets tr[data-place="{place}"] td[data-score="{score}"]'
                )
                assert float(cell.get_attribute("data-value")) == rows.loc[(target, score), "value"]
                assert cell.get_attribute("data-class") == rows.loc[(target, score), "class"]
                shown = f"{rows.loc[(target, score), 'value']:+.3f}".replace("-", "−")
                assert shown in cell.inner_text()


def names(opened: Opened) -> list[str]:
    return opened.page.locator("#targets tbody td.name a").all_inner_texts()


def test_the_table_sorts(opened, one):
    own = one.scores.loc[(one.scores["filter"] == "combined") & (one.scores["score"] == "clean")]
    expected = [
        name.removesuffix(".weight") for name in own.sort_values("value")["target"].tolist()
    ]
    head = opened.page.locator('#targets th[data-key="clean"]')
    head.locator("button").click()
    assert names(opened) == expected
    assert head.get_attribute("aria-sort") == "ascending"
    head.locator("button").click()
    assert names(opened) == expected[::-1]
    assert head.get_attribute("aria-sort") == "descending"
    opened.page.locator('#targets th[data-key="place"] button').click()
    assert names(opened)[0] == "conv1"


def test_the_table_is_searched(opened):
    field = opened.page.get_by_label("Search")
    field.fill("CONV layer")
    assert "layer.0.conv" in names(opened)
    field.fill("no such layer")
    assert names(opened) == []
    field.fill("")
    assert len(names(opened)) == len(NAMES)


def test_the_scores_come_as_csv(opened, one):
    head, *rows = opened.downloaded("Scores as CSV")
    assert len(rows) == len(one.scores)
    stored = one.scores.set_index(["target", "filter", "score"])
    for values in rows:
        found = dict(zip(head, values, strict=True))
        target = (
            found["target"].removeprefix("'") if "=" in found["target"][:2] else found["target"]
        )
        expected = stored.loc[(target, found["filter"], found["score"])]
        assert float(found["value"]) == expected["value"]
        assert found["class"] == expected["class"]
    assert "'=SUM(A1)" in {values[head.index("target")] for values in rows}
    assert any(values[head.index("value")].startswith("-") for values in rows)


def test_the_responses_come_as_csv(opened, one):
    head, *rows = opened.downloaded("Responses as CSV")
    assert len(rows) == len(one.responses)
    found = sum(float(values[head.index("clean")]) for values in rows)
    assert found == pytest.approx(one.responses["clean"].sum(), rel=1e-5)


def test_the_view_is_kept_in_the_address(browser, files, opened):
    row(opened, "fc").click()
    opened.page.locator('#bar input[value="clean"]').check(force=True)
    address = opened.page.evaluate("location.href")
    again = browser.new_page()
    again.goto(address)
    assert again.locator("#panel h3").inner_text() == "fc"
    assert again.locator('#bar input[value="clean"]').is_checked()
    again.close()


def test_colours_can_be_changed_and_paper_is_light(opened):
    opened.page.get_by_role("button", name="Switch to dark colours").click()
    assert opened.page.evaluate("document.documentElement.dataset.theme") == "dark"
    opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.page.evaluate("document.documentElement.dataset.theme") == "light"
    opened.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert opened.page.evaluate("document.documentElement.dataset.theme") == "dark"
    opened.page.get_by_role("button", name="Switch to light colours").click()


def test_every_picture_has_words(opened):
    bare = opened.page.evaluate(
        """[...document.querySelectorAll("svg:not([aria-hidden=true])")]
             .filter((each) => !each.getAttribute("aria-label")).length"""
    )
    assert bare == 0
    labels = opened.page.locator("#network g.row").evaluate_all(
        "(rows) => rows.map((row) => row.getAttribute('aria-label'))"
    )
    assert all(any(c in label for c in ("fragile", "robust", "decided")) for label in labels)


def test_another_study_takes_the_place_of_the_first(browser, files):
    made = Opened(browser, files["several"])
    made.page.locator("#study").select_option("2")
    values = study(2).scores
    own = values.loc[(values["filter"] == "combined") & (values["score"] == "clean"), "value"]
    cell = made.page.locator('#targets tr[data-place="0"] td[data-score="clean"]')
    assert float(cell.get_attribute("data-value")) == own.iloc[0]
    drawn = made.page.locator("#several svg.picture")
    assert [drawn.nth(place).get_attribute("data-picture") for place in range(drawn.count())] == [
        "heatmap-adversarial",
        "ranks-adversarial",
    ]
    assert made.page.locator("#heat svg.picture").get_attribute("data-picture") == "heatmap-2"
    assert made.wrong == []
    made.page.close()


@pytest.mark.parametrize("width", [pytest.param(1440, marks=pytest.mark.slow), 390])
def test_several_trainings_show_the_intervals_between_them(browser, tmp_path, width):
    runs = [study(seed) for seed in range(3)]
    for run in runs:
        run.manifest["origin"] = {}
    path = write_report(runs, tmp_path / "trainings.html")
    expected = compare(runs, over="seeds").pooled.query("score == 'adversarial'")
    made = Opened(browser, path, width=width)
    page = made.page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    heads = page.eval_on_selector_all("#pooled ~ details th", "all => all.map(e => e.textContent)")
    assert heads == ["pooled", "runs", "mean", "class", "between runs", "sampling", "both"]
    cells = page.eval_on_selector_all(
        "#pooled ~ details tbody tr", "all => all.map(e => [...e.cells].map(c => c.innerText))"
    )
    assert len(cells) == len(expected) == len(NAMES)
    for row, known in zip(cells, expected.to_dict("records"), strict=True):
        between = f"{known['low']:+.2f} to {known['high']:+.2f}".replace("-", "−")
        assert row[1] == "3"
        assert row[3].strip() == known["class"]
        assert row[4].replace("+0.00", "−0.00") == between.replace("+0.00", "−0.00")
    assert page.locator("#pooled ~ div svg.picture").count() == 1
    assert made.wrong == []
    page.close()
