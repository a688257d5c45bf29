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

from browser import chromium

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
