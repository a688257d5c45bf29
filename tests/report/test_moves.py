"""Several studies on a page: the answer first, and scores that move with a slider."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import synthetic
from browser import chromium
from hormesis.report.html.page import write_report
from hormesis.report.views.comparison_text import answer_sentences
from hormesis.results.comparison import Comparison, compare
from hormesis.results.study import Study


def study(epoch: int) -> Study:
    generator = np.random.default_rng(epoch)
    of = synthetic.network(generator, targets=4, steps=5)
    made = synthetic.study(of, of.outcomes(200, generator))
    made.manifest["question"]["network"] = {"name": "net1", "fingerprint": f"{epoch:064d}"}
    made.manifest["origin"] = {"epoch": epoch}
    return made


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compare([study(epoch) for epoch in (1, 2, 5)])


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("pages") / "epochs.html"
    return write_report([study(epoch) for epoch in (5, 1, 2)], path).as_uri()


def opened(browser: Any, address: str, **look: Any) -> Any:
    page = browser.new_page(viewport={"width": 1440, "height": 900}, **look)
    page.goto(address)
    page.wait_for_selector("html[data-ready]", state="attached", timeout=20_000)
    return page


def test_the_answer_says_what_stays_and_what_moves_most(comparison):
    first, second = answer_sentences(comparison, ["1", "2", "5"])
    kinds = comparison.paths.loc[comparison.paths["score"] == "adversarial", "invariant"]
    stays, guessed = (kinds == "certain").sum(), (kinds == "undecided").sum()
    assert first.startswith(
        f"Over 3 epochs, {stays} of 4 targets keep their class by the adversarial"
    )
    assert f"and {guessed} by the estimates alone" in first
    values = comparison.scores.query("score == 'adversarial'").pivot(
        index="match", columns="study", values="value"
    )
    changes = comparison.changes.query("score == 'adversarial'").iloc[0]
    number = (
        values.loc[changes["match"], changes["to"]] - values.loc[changes["match"], changes["from"]]
    )
    assert f"by {number:+.2f}".replace("-", "−") in second
    assert f"from epoch {changes['from']} to epoch {changes['to']}" in second


def test_the_comparison_comes_first_and_the_last_epoch_is_chosen(browser, address):
    page = opened(browser, address, reduced_motion="reduce")
    assert page.title().startswith("net1 on ")
    assert page.locator("h1").inner_text().endswith(", epochs 1, 2 and 5")
    sections = page.eval_on_selector_all("main > section", "all => all.map(each => each.id)")
    assert sections[:3] == ["several", "chosen", "answer"]
    assert page.locator("#study").input_value() == "2"
    assert page.locator("#chosen h2").inner_text().endswith("epoch 5")
    table = page.locator("#several").inner_text()
    assert "κ (Fleiss) says" in table
    assert "ρ (Spearman) says" in table
    shown, room = page.evaluate(
        "['#several svg.picture', '#several'].map(each => document.querySelector(each).clientWidth)"
    )
    assert shown == pytest.approx(room, abs=2)
    page.close()


def test_the_slider_moves_by_keyboard_and_the_page_follows(browser, address, comparison):
    page = opened(browser, address, reduced_motion="reduce")
    assert not page.get_by_role("button", name="Play").is_visible()
    slider = page.locator("#place")
    assert slider.get_attribute("aria-valuetext") == "epoch 5"
    before = places(page)
    slider.press("Home")
    assert slider.get_attribute("aria-valuetext") == "epoch 1"
    assert page.locator("#chosen h2").inner_text().endswith("epoch 1")
    assert places(page) != before
    rows = comparison.scores.query("score == 'adversarial' and study == '1'")
    order = np.argsort([x for x, _ in places(page)])
    assert order.tolist() == np.argsort(rows["value"].to_numpy()).tolist()
    classes = rows["class"].value_counts()
    said = page.locator("#moves output").inner_text()
    assert all(f"{number} {name}" in said for name, number in classes.items())
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.moving')).transitionDuration")
        == "0s"
    )
    page.locator("#study").select_option("1")
    assert slider.get_attribute("aria-valuetext") == "epoch 2"
    page.close()


def places(page: Any) -> list[tuple[float, float]]:
    return page.eval_on_selector_all(
        ".moving",
        "all => all.map(each => [...each.style.transform.matchAll(/[-.0-9]+px/g)]"
        ".map(([text]) => parseFloat(text)))",
    )


def test_it_plays_to_the_end_and_can_be_paused(browser, address):
    page = browser.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="no-preference")
    page.clock.install()
    page.goto(address)
    page.wait_for_selector("html[data-ready]", state="attached", timeout=20_000)
    play, slider = page.locator("#moves .tools button"), page.locator("#place")
    play.press("Enter")
    assert (play.inner_text(), slider.input_value()) == ("Pause", "0")
    page.clock.run_for(1200)
    assert slider.input_value() == "1"
    play.press("Enter")
    page.clock.run_for(5000)
    assert (play.inner_text(), slider.input_value()) == ("Play", "1")
    assert page.locator("#chosen h2").inner_text().endswith("epoch 2")
    play.press("Enter")
    page.clock.run_for(5000)
    assert (play.inner_text(), slider.input_value()) == ("Play", "2")
    page.close()
