"""A real browser for the tests of the page, if there is one."""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"),
    *("--disable-component-update", "--disable-sync"),
)


@contextmanager
def chromium() -> Iterator[Any]:
    """Give a browser; skip, with the reason, where there is none."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="the page's tests need Playwright: pip install playwright"
    )
    path = os.environ.get("HORMESIS_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("the page's tests need Chromium: apt-get install chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=list(QUIET))
        yield browser
        browser.close()


AXE_CHECK = """([rules, exclude]) => axe.run({exclude}, {resultTypes: ["violations"], rules})
  .then(result => result.violations.flatMap(each => each.nodes.map(node =>
    each.id + ": " + node.html.slice(0, 200) + " " + node.failureSummary)))"""
"""What a page is asked once it holds the script of ``axe_script``: all that axe-core finds, by its
rules as they are switched on or off, outside of what is left out."""


def axe_script() -> str:
    """Return the script of axe-core, which a package for Playwright brings along; skip without."""
    package = importlib.util.find_spec("axe_playwright_python")
    if package is None or package.origin is None:
        pytest.skip("checks by axe-core need its script: pip install axe-playwright-python")
    return (Path(package.origin).parent / "axe.min.js").read_text(encoding="utf-8")
