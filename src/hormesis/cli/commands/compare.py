"""``hormesis compare``: several studies of the same method."""

import os
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from hormesis.cli.config import scoring_flags, scoring_from
from hormesis.cli.flags import add_scoring, make_parser
from hormesis.errors import StudyError
from hormesis.settings.choices import check_choice

if TYPE_CHECKING:
    import pandas as pd

    from hormesis.results.comparison import Comparison

FORMATS = ("csv", "parquet", "latex")
PICTURES = ("png", "svg", "pdf")
_MOST_BYTES = 1 << 24  # of a matching
_SCORES = ("clean", "adversarial", "difference")
_SUFFIX = {"csv": "csv", "parquet": "parquet", "latex": "tex"}


def parser() -> ArgumentParser:
    """Return the parser of ``hormesis compare``."""
    made = make_parser(
        "Compare studies of the same method: which targets keep their class, which change.",
        usage="hormesis compare [options] STUDY STUDY ...",
    )
    add = made.add_argument
    add(
        "studies",
        type=str,
        nargs="+",
        metavar="STUDY",
        help="folders of studies, or a folder that holds them",
    )
    add(
        "--over",
        type=str,
        default="epochs",
        metavar="WHAT",
        help="what varies: epochs, data, models or seeds (default: %(default)s)",
    )
    _add_method(made)
    _add_output(made)
    add_scoring(made, of_study=True)
    return made


def _add_method(made: ArgumentParser) -> None:
    add = made.add_argument
    add(
        "--matching",
        type=str | None,
        metavar="FILE",
        help="CSV of study, target and match: which targets go together",
    )
    add(
        "--allow",
        type=str,
        nargs="+",
        default=[],
        metavar="different:NAME",
        help="let the studies differ in this too, such as different:epsilon",
    )
    add(
        "--group-by",
        type=str,
        nargs="+",
        default=[],
        metavar="COLUMN",
        help="pool runs that agree in these: model, data, epoch, seed",
    )


def _add_output(made: ArgumentParser) -> None:
    add = made.add_argument
    add(
        "--score",
        type=str,
        default="adversarial",
        metavar="NAME",
        help="whose paths and pictures are shown (default: %(default)s)",
    )
    add("--out", type=str | None, metavar="DIR", help="folder for tables and pictures")
    add(
        "--formats",
        type=str,
        nargs="+",
        default=["csv"],
        metavar="FORMAT",
        help="of the tables: csv, parquet, latex (default: csv)",
    )
    add("--pictures", type=str, default="png", metavar="FORMAT", help="png, svg or pdf")


def run(given: Namespace) -> None:
    """Compare, print, and write tables and pictures where that was asked for."""
    check_choice("score", given.score, _SCORES)
    check_choice("format of the pictures", given.pictures, PICTURES)
    for form in given.formats:
        check_choice("format", form, FORMATS)

    from hormesis.report.text.comparison import print_comparison
    from hormesis.results.comparison import compare, load_all

    scoring = None
    if scoring_flags(given):
        studies, _ = load_all(given.studies)
        scoring = scoring_from(given, studies[0].scoring) if studies else None
    comparison = compare(
        given.studies,
        over=given.over,
        scoring=scoring,
        matching=None if given.matching is None else _read(given.matching),
        allow=given.allow,
        group_by=given.group_by,
    )
    files = [] if given.out is None else _written(comparison, given)
    print_comparison(comparison, given.score, files)


def _written(comparison: "Comparison", given: Namespace) -> list[Path]:
    """Write pictures and tables, and return where they are."""
    from hormesis.report.plots.comparison import DRAWN, draw_comparison
    from hormesis.report.text.export import write_table
    from hormesis.storage.ownership import COMPARISON, claimed

    out = Path(given.out).expanduser()
    tables = [
        (f"{name}.{_SUFFIX[form]}", table, form)
        for name, table in comparison.tables.items()
        for form in given.formats
    ]
    _check_out(
        out, [*(f"{name}.{given.pictures}" for name in DRAWN), *(name for name, *_ in tables)]
    )
    try:
        with claimed(out, COMPARISON):
            files = draw_comparison(comparison, out, given.score, given.pictures)
            for name, table, form in tables:
                write_table(table, form, str(out / name))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise StudyError(
            f"The comparison cannot be written to {out}: {reason}. Choose another folder with "
            "`out`."
        ) from error
    return [*files, *(out / name for name, *_ in tables)]


def _check_out(out: Path, names: Sequence[str]) -> None:
    """Refuse a folder that holds files of these names which no comparison has written."""
    from hormesis.storage.ownership import owner

    if out.is_symlink():
        raise StudyError(f"Expected `out` to be a folder, but {out} is a link: name the folder.")
    taken = [name for name in names if os.path.lexists(out / name)]
    if taken and owner(out) is None:
        raise StudyError(
            f"The folder {out} holds {taken[0]!r}, which no comparison wrote: move it away, or "
            "choose another folder with `out`."
        )


def _read(path: str) -> "pd.DataFrame":
    import pandas as pd

    from hormesis.storage.safe_read import read_bytes

    try:
        content = read_bytes(Path(path).expanduser(), _MOST_BYTES, follow=True)
        return pd.read_csv(BytesIO(content), dtype=str)
    except (OSError, ValueError) as error:
        raise StudyError(f"The matching {path} cannot be read: {error}.") from error
