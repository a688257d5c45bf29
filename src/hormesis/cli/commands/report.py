"""``hormesis report``: studies as one page to look at."""

from dataclasses import replace
from pathlib import Path

from hormesis.cli.options import ReportOptions
from hormesis.cli.parser import Arguments
from hormesis.errors import SettingError
from hormesis.report.html.page import write_report
from hormesis.report.views.sources import gather, scored
from hormesis.settings.scoring import Scoring


def run(arguments: Arguments) -> None:
    """Write the page and say where it is."""
    options, changed = arguments[ReportOptions], arguments.given(Scoring)
    out = Path(options.out).expanduser()
    if out.suffix.lower() not in (".html", ".htm"):
        raise SettingError(f"Expected `out` to end in .html, got {options.out}.")
    if not out.absolute().parent.is_dir():
        raise SettingError(f"Expected `out` in a folder that exists, got {options.out}.")
    gathered = gather(options.paths)
    if changed and gathered.studies:
        gathered = scored(gathered, replace(gathered.studies[0].scoring, **changed))
    print(f"report:  {write_report(gathered, out, title=options.title)}")
