"""``hormesis report``: studies as one page to look at."""

from dataclasses import fields
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from hormesis.cli.config import scoring_from
from hormesis.cli.flags import add_scoring, make_parser
from hormesis.errors import SettingError
from hormesis.settings.scoring import Scoring

DEFAULT_OUT = "report.html"


def parser() -> ArgumentParser:
    """Return the parser of ``hormesis report``."""
    made = make_parser(
        "Write a report on studies and retrainings: one file to look at, without a network.",
        usage="hormesis report [options] PATH [PATH ...]",
    )
    add = made.add_argument
    add(
        "paths",
        type=str,
        nargs="+",
        metavar="PATH",
        help="folder of a study, of the studies of a training, or of a retraining",
    )
    add("--out", type=str, default=DEFAULT_OUT, metavar="FILE", help="page (default: %(default)s)")
    add("--title", type=str, default="", help="its heading (default: network and data)")
    add_scoring(made, of_study=True)
    return made


def run(given: Namespace) -> None:
    """Write the page and say where it is."""
    out = Path(given.out).expanduser()
    if out.suffix.lower() not in (".html", ".htm"):
        raise SettingError(f"Expected `out` to end in .html, got {given.out}.")
    if not out.absolute().parent.is_dir():
        raise SettingError(f"Expected `out` in a folder that exists, got {given.out}.")

    from hormesis.report.html.page import write_report
    from hormesis.report.views.sources import gather, scored

    gathered = gather(given.paths)
    if any(given[field.name] is not None for field in fields(Scoring)) and gathered.studies:
        gathered = scored(gathered, scoring_from(given, gathered.studies[0].scoring))
    print(f"report:  {write_report(gathered, out, title=given.title)}")
