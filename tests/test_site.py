"""The documentation as a site, built and looked at in a real browser."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from browser import AXE_CHECK, axe_script, chromium

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]


class Quiet(SimpleHTTPRequestHandler):
    """Says nothing of what is asked for."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="the site's tests need MkDocs: pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    subprocess.run(command, cwd=ROOT, check=True, env=quiet)
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_no_page_asks_elsewhere_or_is_wider_than_a_phone(site, address):
    pages = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    assert len(pages) > 15
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 375, "height": 800})
        asked, wrong = set(), []
        page.on("request", lambda request: asked.add(request.url))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        for name in pages:
            page.goto(f"{address}/{name}", wait_until="networkidle")
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= 375, (name, width)
    assert {url for url in asked if not url.startswith((address, "data:"))} == set()
    assert wrong == []


def test_equations_are_drawn_and_pages_are_found(address):
    with chromium() as browser:
        page = browser.new_page()
        page.goto(f"{address}/method.html")
        assert page.locator("math[display=block]").count() >= 8
        assert page.locator(".arithmatex").count() == 0
        page.click("input[name=query]")
        page.keyboard.type("antifragile", delay=20)
        page.wait_for_selector(".md-search-result__link")


def test_examples_of_the_api_are_code(address):
    with chromium() as browser:
        page = browser.new_page()
        page.goto(f"{address}/api.html")
        shown = "\n".join(page.locator("pre").all_text_contents())
        assert ">>> keep_above(torch.tensor([-1.0, 0.0, 2.0]), alpha=0.0)" in shown


def test_the_search_works_in_a_site_that_is_opened_as_a_file(site):
    with chromium() as browser:
        page = browser.new_page()
        asked, wrong = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto((site / "method.html").as_uri())
        page.click("input[name=query]")
        page.keyboard.type("antifragile", delay=20)
        page.wait_for_selector(".md-search-result__link")
        assert (
            page.locator(".md-search-result__link").first.get_attribute("href").startswith("file:")
        )
        assert [url for url in asked if not url.startswith(("file:", "data:", "about:"))] == []
        assert wrong == []


@pytest.mark.parametrize("name", sorted(page.stem for page in (ROOT / "docs").glob("*.md")))
@pytest.mark.parametrize(
    ("width", "scheme"), [(1440, "light"), (1440, "dark"), (375, "light"), (375, "dark")]
)
def test_axe_finds_nothing(site, name, width, scheme):
    with chromium() as browser:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.set_default_timeout(300_000)  # the page of the API is long
        page.goto((site / f"{name}.html").as_uri())
        page.wait_for_timeout(500)  # until the theme has added its buttons
        page.evaluate(axe_script())
        assert page.evaluate(AXE_CHECK, [{}, []]) == []


def test_the_front_picture_is_drawn_at_the_width_of_its_column(site):
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto((site / "index.html").as_uri())
        pictures = page.locator(".md-content img")
        assert pictures.count() == 2
        for place in range(2):
            shown, own = pictures.nth(place).evaluate("each => [each.width, each.naturalWidth]")
            assert shown > 0.9 * own
