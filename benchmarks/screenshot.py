"""A picture of a report: ``python -m benchmarks.screenshot REPORT.html PICTURE.png``."""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

WIDTH, HEIGHT = 1280, 1480
COLOURS = 160


def main() -> None:
    """Open the page in Chromium, and keep what is seen first."""
    page, picture = sys.argv[1:]
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        tab.goto(Path(page).absolute().as_uri())
        tab.wait_for_selector("html[data-ready]", state="attached")
        content = tab.screenshot()
        browser.close()
    whole = Image.open(io.BytesIO(content)).convert("RGB")
    whole.quantize(COLOURS).save(picture, optimize=True)


if __name__ == "__main__":
    main()
