"""``hormesis report``: studies as one page, or as a page each with an index."""

from dataclasses import replace
from pathlib import Path

from hormesis.cli.options import ReportOptions
from hormesis.cli.parser import Arguments
from hormesis.errors import SettingError
from hormesis.report.html.index_page import check_gallery, write_index
from hormesis.report.html.page import write_report
from hormesis.report.views.sources import ReportSources, gather, with_scoring
from hormesis.settings.scoring import Scoring

_PAGE, _FOLDER = "report.html", "gallery"


def run(arguments: Arguments) -> None:
    """Write the page, or the pages and their index, and print the path."""
    options = arguments[ReportOptions]
    out = Path(options.out or (_FOLDER if options.index else _PAGE)).expanduser()
    if options.index:
        if out.suffix.lower() in (".html", ".htm"):
            raise SettingError(
                f"Expected `out` to be a folder, as `index` writes several pages, got {out}."
            )
        check_gallery(out)
        print(f"index:   {write_index(_sources(arguments), out, title=options.title)}")
        return
    if out.suffix.lower() not in (".html", ".htm"):
        raise SettingError(f"Expected `out` to end in .html, got {out}.")
    if not out.absolute().parent.is_dir():
        raise SettingError(f"Expected `out` in a folder that exists, got {out}.")
    print(f"report:  {write_report(_sources(arguments), out, title=options.title)}")


def _sources(arguments: Arguments) -> ReportSources:
    """Return the studies, scored as the flags say."""
    sources, changed = gather(arguments[ReportOptions].paths), arguments.overrides(Scoring)
    if changed and sources.studies:
        return with_scoring(sources, replace(sources.studies[0].scoring, **changed))
    return sources
