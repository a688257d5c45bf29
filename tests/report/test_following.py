"""A live page in a browser: it follows its study, and a reader keeps what was opened and chosen."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from browser import chromium
from growing import Growing
from hormesis.report.html.live import page_sink

FOCUSED = "document.activeElement.value || document.activeElement.textContent"
OPEN = "[...document.querySelectorAll('main details')].map((each) => each.open)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


class Followed:
    """A study that grows, and its page in a browser, whose clock moves when it is told to."""

    def __init__(self, browser: Any, growing: Growing, path: Path) -> None:
        self.growing, self.sink = growing, page_sink(path)
        self.grow(64)
        self.page = browser.new_page(viewport={"width": 1200, "height": 700})
        self.page.set_default_timeout(15_000)
        self.wrong: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.clock.install()
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-ready]", state="attached")
        self.page.clock.pause_at(self.page.evaluate("Date.now()") / 1000 + 1)

    def grow(self, samples: int, *, last: bool = False) -> None:
        self.growing.analyze(samples)
        self.sink(self.growing.folder, last)

    def read_anew(self) -> None:
        with self.page.expect_navigation():
            self.page.clock.run_for(8000)
        self.page.wait_for_selector("html[data-ready]", state="attached")
        self.page.clock.run_for(200)  # two frames, after which the focus is back

    def samples(self) -> int:
        return self.page.evaluate("study().samples[0]")

    def says(self) -> str:
        return " ".join(self.page.get_by_role("region", name="Progress").inner_text().split())


@pytest.fixture
def followed(browser, monkeypatch, tmp_path) -> Iterator[Followed]:
    with torch.random.fork_rng():
        growing = Growing(monkeypatch, tmp_path / "growing")
    made = Followed(browser, growing, tmp_path / "page.html")
    yield made
    assert made.wrong == []
    made.page.close()


def test_a_page_follows_its_study_after_a_click(followed):
    page = followed.page
    page.locator('#bar input[value="clean"]').check(force=True)
    for summary in page.locator("main details > summary").all():
        summary.click()
    chosen = page.locator('#bar input[value="low_pass"]')
    chosen.check(force=True)
    chosen.focus()
    page.evaluate("scrollTo({ top: 500, behavior: 'instant' })")
    before, seen = page.evaluate(OPEN), page.evaluate("scrollY")
    followed.grow(192)
    followed.read_anew()
    assert followed.samples() == 192
    assert page.evaluate(FOCUSED) == "low_pass"
    assert page.evaluate("[state.score, state.filter]") == ["clean", "low_pass"]
    assert page.evaluate(OPEN) == before
    assert True in before
    assert page.evaluate("scrollY") == pytest.approx(seen, abs=2)
    page.keyboard.press("ArrowLeft")  # the focus is a real one
    assert page.evaluate("state.filter") == "high_pass"


def test_what_is_written_and_sorted_stays(followed):
    page = followed.page
    page.locator('#targets th[data-key="clean"] button').click()
    page.get_by_role("button", name="Switch to dark colours").click()
    page.get_by_label("Search").fill("weigh")
    page.get_by_label("Search").press("ArrowLeft")
    followed.grow(192)
    followed.read_anew()
    assert page.evaluate("document.activeElement.id") == "find"
    page.keyboard.type("x")
    assert page.get_by_label("Search").input_value() == "weigxh"
    assert page.locator('#targets th[data-key="clean"]').get_attribute("aria-sort") == "ascending"
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_nothing_moves_under_the_hands_of_a_reader_or_when_it_is_stopped(followed):
    page = followed.page
    page.evaluate("window.old = true")
    page.mouse.move(600, 300)
    page.mouse.down()
    page.clock.run_for(60_000)
    assert page.evaluate("window.old")
    page.mouse.up()
    page.get_by_role("button", name="Stop following").click()
    page.clock.run_for(60_000)
    assert page.evaluate("window.old")
    page.get_by_role("button", name="Follow the study again").click()
    page.clock.run_for(1000)
    assert page.evaluate("window.old")  # somebody has just pressed
    followed.read_anew()
    assert not page.evaluate("window.old")


@pytest.mark.slow
def test_looks_become_rare_while_nothing_new_comes(followed):
    waits = []
    for _ in range(3):
        waits.append(followed.page.evaluate("follow.wait"))
        with followed.page.expect_navigation():
            followed.page.clock.run_for(30_000)
        followed.page.wait_for_selector("html[data-ready]", state="attached")
    assert waits == [5000, 7500, 11250]
    followed.grow(192)
    followed.page.clock.run_for(1)
    with followed.page.expect_navigation():
        followed.page.clock.run_for(30_000)
    followed.page.wait_for_selector("html[data-ready]", state="attached")
    assert followed.page.evaluate("follow.wait") == 5000


def test_progress_is_told_once_with_what_is_left(followed):
    page = followed.page
    assert page.locator(".banner").count() == 1
    assert re.match(
        r"Not finished: 64 of 300 samples so far \(2 of 10 shards\)\. Everything here is an "
        r"estimate\. Some \d+ (s|min).* to go · as of \d\d:\d\d:\d\d · nobody works on it",
        followed.says(),
    )
    assert page.locator("body").inner_text().count("64 of 300 samples so far") == 1
    bar = page.get_by_role("progressbar", name="Samples measured")
    assert [bar.evaluate(f"(each) => each.{name}") for name in ("value", "max")] == [64, 300]


def test_a_finished_study_is_not_followed_any_longer(followed):
    followed.grow(300, last=True)
    followed.read_anew()
    assert followed.samples() == 300
    assert followed.page.locator(".banner").count() == 0
    assert followed.page.locator("#follow").count() == 0
    followed.page.evaluate("window.old = true")
    followed.page.clock.run_for(60_000)
    assert followed.page.evaluate("window.old")
