"""``hormesis report``: studies as one page."""

from dataclasses import replace
from pathlib import Path

from hormesis.cli.options import ReportOptions
from hormesis.cli.parser import Arguments
from hormesis.errors import SettingError
from hormesis.report.html.page import write_report
from hormesis.report.views.sources import gather, with_scoring
from hormesis.settings.scoring import Scoring


def run(arguments: Arguments) -> None:
    """Write the page and print its path."""
    options, changed = arguments[ReportOptions], arguments.overrides(Scoring)
    out = Path(options.out).expanduser()
    if out.suffix.lower() not in (".html", ".htm"):
        raise SettingError(f"Expected `out` to end in .html, got {options.out}.")
    if not out.absolute().parent.is_dir():
        raise SettingError(f"Expected `out` in a folder that exists, got {options.out}.")
    sources = gather(options.paths)
    if changed and sources.studies:
        sources = with_scoring(sources, replace(sources.studies[0].scoring, **changed))
    print(f"report:  {write_report(sources, out, title=options.title)}")
