"""Every kind of page as axe-core sees it, wide and narrow, light and dark, and by the keyboard."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import handset
import synthetic
from browser import AXE_CHECK, axe_script, chromium
from handset import ANTIFRAGILE, FRAGILE, ROBUST
from hormesis.report.html.page import write_report
from hormesis.results.retraining import Retraining, write_retraining, write_table
from hormesis.results.study import Study
from hormesis.training.selection import ARMS

LONG = [f"model.decoder.layers.{n}.self_attention.query_projection.weight" for n in range(5)]
# Off by default in axe-core: the size of what is clicked, and names that say what one sees.
RULES = {"target-size": {"enabled": True}, "label-content-name-mismatch": {"enabled": True}}


class Named(synthetic.Network):
    """A network of the long names that transformers have."""

    @property
    def targets(self) -> list[str]:
        return LONG[: len(self.shift)]


def attacked(epoch: int | None = None, seed: int = 0) -> Study:
    generator = np.random.default_rng(seed)
    drawn = synthetic.network(generator, targets=len(LONG), steps=5)
    of = Named(drawn.margin, drawn.drop, drawn.shift, drawn.noise)
    made = synthetic.study(of, of.outcomes(200, generator))
    made.manifest["question"]["network"]["fingerprint"] = f"{seed:064d}"
    made.manifest["origin"] = {} if epoch is None else {"epoch": epoch}
    return made


def clean_only(folder: Path) -> Study:
    made = handset.study({"a.weight": ANTIFRAGILE, "b.weight": FRAGILE, "c": ROBUST})
    made.manifest["question"]["attack"] = made.manifest["attack"] = {"name": "none"}
    made.manifest["base"] = {"clean": 0.8, "higher_is_better": True, "samples": 10}
    made.responses["adversarial"] = np.nan
    return made


def channels(folder: Path) -> Study:
    curves = (ANTIFRAGILE, FRAGILE, ROBUST)
    names = [f"layer{layer}.conv.weight[{n}]" for layer in range(3) for n in range(28)]
    made = handset.study({name: curves[place % 3] for place, name in enumerate(names)})
    made.manifest["question"]["targets"]["per"] = "channel"
    return made


def groups(folder: Path) -> Study:
    sizes = {f"h.{block} head {head}": 64 for block in range(2) for head in range(3)}
    made = handset.study(dict.fromkeys(sizes, FRAGILE), sizes=sizes)
    made.targets.loc[: len(sizes) - 1, "kind"] = "group"
    untested = made.targets.iloc[[0]].assign(
        target="bert.encoder.layer.0.attention.output.dense_projection.weight",
        tested=False,
        reason="all its values are equal, so that its thresholds coincide",
    )
    return replace(made, targets=pd.concat([made.targets, untested], ignore_index=True))


def retraining(folder: Path) -> Retraining:
    rows = [
        (arm, seed, attack, epsilon, sample, sample < share * 20)
        for arm, share in zip(ARMS, (0.9, 0.5, 0.4, 0.4, 0.3, 0.2), strict=True)
        for seed in (1, 2)
        for attack, epsilon in (("clean", 0.0), ("fgsm", 0.05))
        for sample in range(20)
    ]
    table = pd.DataFrame(rows, columns=["arm", "seed", "attack", "epsilon", "sample", "right"])
    manifest = {
        "study": {"network": "resnet18", "data": "mnist"},
        "selection": {
            "targets": ["a"],
            "keep": ["robust"],
            "by": "adversarial",
            "filter": "combined",
        },
        "recipe": {"epochs": 1, "optimizer": "adam", "rate": 0.001},
        "arms": {arm: [] for arm in ARMS},
        "controls": {"seeds": [1, 2], "samples": 20, "trial": {"steps": 10, "restarts": 2}},
    }
    write_retraining(folder, manifest)
    write_table(table, folder / "outcomes.parquet")
    return Retraining(folder, manifest)


def live(folder: Path) -> Study:
    return handset.study({"a": ROBUST, "b.weight": FRAGILE}, **handset.UNFINISHED)


KINDS: dict[str, Callable[[Path], Any]] = {
    "with an attack": lambda folder: attacked(),
    "clean only": clean_only,
    "many channels": channels,
    "groups": groups,
    "epochs": lambda folder: [attacked(epoch) for epoch in (1, 2)],
    "several studies": lambda folder: [attacked(seed=seed) for seed in (0, 1)],
    "retraining": lambda folder: [attacked(), retraining(folder / "retrained")],
    "live": live,
}
"""Every kind of page: what it shows."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def axe() -> str:
    return axe_script()


# Text of pictures, which axe-core passes over: its fill on the ground below, of which it says that
# it has one. What lies on coloured cells is measured from the palette, in test_colours.py.
FAINT = """() => {
  const channels = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = parts => parts.slice(0, 3).map(part => part / 255)
    .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = node => {
    for (let at = node.closest("div, body"); at; at = at.parentElement) {
      const parts = channels(getComputedStyle(at).backgroundColor);
      if (parts.length < 4 || parts[3] > 0.99) return light(parts);
    }
    return light(channels(getComputedStyle(document.body).backgroundColor));
  };
  return [...document.querySelectorAll("svg:not(.picture) text:not(.onfill)")]
    .filter(node => node.getClientRects().length)
    .map(node => {
      const own = light(channels(getComputedStyle(node).fill)), below = ground(node);
      const ratio = (Math.max(own, below) + 0.05) / (Math.min(own, below) + 0.05);
      return [ratio, node.textContent, document.documentElement.dataset.theme];
    })
    .filter(([ratio]) => ratio < 4.5);
}"""


@pytest.mark.parametrize("kind", KINDS)
def test_axe_finds_nothing(browser, axe, tmp_path, kind):
    page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="light")
    page.set_default_timeout(8000)
    # As a live page has it: without pictures, whose drawing would take most of the time.
    refresh = 3600 if kind in ("live", "several studies") else None
    page.goto(write_report(KINDS[kind](tmp_path), tmp_path / "page.html", refresh=refresh).as_uri())
    page.wait_for_selector("html[data-ready]", state="attached", timeout=20_000)
    page.evaluate(axe)
    # The rows of the longest table are like those of the others, and take seconds to look at.
    left_out = ["#targets tbody"] if kind == "many channels" else []
    page.evaluate(
        "document.querySelectorAll('details:not(.map details + details)')"
        ".forEach(each => { each.open = true; })"
    )
    for width, theme in ((1440, "light"), (375, "dark")):  # colours are the same at each width
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        page.wait_for_timeout(60)  # until what watches its width has drawn again
        assert page.evaluate(AXE_CHECK, [RULES, left_out]) == []
        assert page.evaluate(FAINT) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


@pytest.fixture(scope="module")
def opened(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("channels")
    page = browser.new_page(viewport={"width": 375, "height": 900}, reduced_motion="reduce")
    page.set_default_timeout(8000)
    page.goto(write_report(channels(folder), folder / "page.html").as_uri())
    page.wait_for_selector("html[data-ready]", state="attached", timeout=20_000)
    yield page
    page.close()


def test_a_chart_is_a_slider_over_its_thresholds(opened):
    chart = opened.locator('#panel svg[data-filter="high_pass"]')
    assert chart.get_attribute("role") == "slider"
    values = []
    for key in ("Home", "ArrowRight", "End", "ArrowRight", "ArrowLeft"):
        chart.press(key)
        values.append(chart.get_attribute("aria-valuenow"))
    assert values == ["1", "2", "3", "3", "2"]
    said = opened.locator("#panel .says").inner_text()
    assert chart.get_attribute("aria-valuetext").split() == said.split()


def test_channels_of_different_classes_have_different_marks(opened):
    shapes = opened.evaluate(
        """() => [...document.querySelectorAll("#network g.row path")]
             .map(each => [each.getAttribute("fill"), each.getAttribute("d")].join(" "))"""
    )
    pairs = {tuple(each.split(" ", 1)) for each in shapes}
    assert len(pairs) == len({fill for fill, _ in pairs}) == len({shape for _, shape in pairs}) > 2


def test_the_map_of_many_targets_has_all_of_them_by_layer(opened):
    rows = opened.locator("#heat .map details")
    assert rows.count() == 3
    assert opened.locator("#heat .cells button").count() == 0  # until a layer is opened
    rows.nth(1).locator("summary").click()
    cells = rows.nth(1).locator(".cells button")
    cells.first.wait_for()
    assert cells.count() == 28
    assert cells.nth(1).inner_text().split()[0] == "[1]"
    cells.nth(1).click()
    assert opened.locator("#panel h3").inner_text() == "layer1.conv.weight[1]"


def test_one_search_filters_every_picture_and_the_table(opened):
    fragile = opened.evaluate(
        "study().targets.name.filter((name, index) => "
        "name.includes('layer2') && scoreOf(index).class === 'fragile').length"
    )
    everything = opened.evaluate("study().targets.name.length")
    opened.locator("#find-layers").fill("layer2 fragile")
    try:
        assert 0 < fragile < 28
        assert opened.locator("#find").input_value() == "layer2 fragile"
        assert opened.locator("#network g.row").count() == 1
        assert opened.locator("#network g.row path").count() == fragile
        assert opened.locator("#heat .cells button").count() == fragile
        assert opened.locator("#targets tbody tr").count() == fragile
    finally:
        opened.locator("#find-layers").fill("")
    assert opened.locator("#network g.row").count() == 3
    assert opened.locator("#targets tbody tr").count() == everything


def test_what_scrolls_is_reached_by_the_keyboard(opened):
    opened.set_viewport_size({"width": 375, "height": 901})
    opened.wait_for_timeout(60)
    unreached = opened.evaluate(
        """() => [...document.querySelectorAll("*")].filter(each =>
             ["auto", "scroll"].includes(getComputedStyle(each).overflowX)
             && each.scrollWidth > each.clientWidth + 1
             && !each.matches("[tabindex='0']")
             && !each.querySelector("a, button, input, select, [tabindex='0']"))
             .map(each => each.outerHTML.slice(0, 100))"""
    )
    assert unreached == []
