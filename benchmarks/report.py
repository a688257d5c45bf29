"""How long reports take and how large they are: ``python -m benchmarks.report``.

The studies are made up: one of ResNet-50's size (54 targets, 3 filters, 25 thresholds, 1,000
samples), 30 of that size, and one of 1,500 channels. Time is that of a fresh process, from the
command to the file. A page counts as interactive when Chromium has drawn it and answers.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks.compare import write

TABLE = Path(__file__).with_name("REPORT.md")
CASES = {
    "one study of ResNet-50's size": (1, 1000, 54),
    "30 studies of that size": (30, 1000, 54),
    "one study of 1,500 channels": (1, 200, 1500),
}
HEAD = """# Reports

`python -m benchmarks.report`

2 cores, busy with other work. Seconds of a fresh process from the command to the file, imports
included, and until Chromium has drawn the page and answers, the median of three.

| studies | seconds to write | CPU seconds | size | seconds to open |
| --- | ---: | ---: | ---: | ---: |
"""


def main() -> None:
    """Measure every case, and write the table."""
    lines = []
    for name, (studies, samples, targets) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            for epoch in range(1, studies + 1):
                write(Path(folder) / "studies", epoch, samples, targets)
            page = Path(folder) / "report.html"
            seconds, cpu = written(Path(folder) / "studies", page)
            size = page.stat().st_size / 1e6
            opening = sorted(opened(page) for _ in range(3))[1]
        lines.append(f"| {name} | {seconds:.1f} | {cpu:.1f} | {size:.1f} MB | {opening:.1f} |")
        print(lines[-1])
    TABLE.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


def written(studies: Path, page: Path) -> tuple[float, float]:
    """Return the seconds, and those of CPU time, that the command takes."""
    command = [sys.executable, "-m", "hormesis", "report", str(studies), "--out", str(page)]
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); print(used.ru_utime + used.ru_stime)"
    )
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, check=True
    )
    return time.perf_counter() - started, float(done.stdout.split()[-1])


def opened(page: Path) -> float:
    """Return the seconds until a browser, which runs already, has drawn a page and answers."""
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_page()
        begin = time.perf_counter()
        tab.goto(page.as_uri())
        tab.wait_for_selector("html[data-ready]", state="attached")
        tab.locator("#network g.row").nth(1).click()
        seconds = time.perf_counter() - begin
        browser.close()
    return seconds


if __name__ == "__main__":
    main()
