"""``hormesis compare``: several studies of the same method."""

import os
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pandas as pd

from hormesis.cli.options import CompareOptions
from hormesis.cli.parser import Arguments
from hormesis.errors import StudyError
from hormesis.report.plots.comparison import COMPARISON_PICTURES, draw_comparison
from hormesis.report.text.comparison import print_comparison
from hormesis.report.text.export import export_table
from hormesis.results.comparison import Comparison, compare, load_all
from hormesis.settings.scoring import Scoring
from hormesis.storage.ownership import COMPARISON, claiming, owner
from hormesis.storage.safe_read import read_bytes

_MOST_BYTES = 1 << 24  # of a matching
_SUFFIX = {"csv": "csv", "parquet": "parquet", "latex": "tex"}


def run(arguments: Arguments) -> None:
    """Compare, print, and write tables and pictures if there is a folder for them."""
    options, changed = arguments[CompareOptions], arguments.overrides(Scoring)
    scoring = None
    if changed:
        studies, _ = load_all(options.studies)
        scoring = replace(studies[0].scoring, **changed) if studies else None
    comparison = compare(
        options.studies,
        over=options.over,
        scoring=scoring,
        matching=None if options.matching is None else _read_matching(options.matching),
        allow=options.allow,
        group_by=options.group_by,
    )
    score = options.score or comparison.main_score
    if score not in comparison.score_names:
        raise StudyError(
            f"The studies have no {score} scores in common, as not all of them have an attack: "
            "leave out `score`, or take the clean one."
        )
    files = []
    if options.out is not None:
        files = _write_files(comparison, Path(options.out), options, score)
    print_comparison(comparison, score, files)


def _write_files(
    comparison: Comparison, folder: Path, options: CompareOptions, score: str
) -> list[Path]:
    """Write pictures and tables, and return their paths."""
    out = folder.expanduser()
    tables = [
        (f"{name}.{_SUFFIX[form]}", table, form)
        for name, table in comparison.tables.items()
        for form in options.formats
    ]
    _check_out(
        out,
        [
            *(f"{name}.{options.pictures}" for name in COMPARISON_PICTURES),
            *(name for name, *_ in tables),
        ],
    )
    try:
        with claiming(out, COMPARISON):
            files = draw_comparison(comparison, out, score, options.pictures)
            for name, table, form in tables:
                export_table(table, form, str(out / name))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise StudyError(
            f"The comparison cannot be written to {out}: {reason}. Choose another folder with "
            "`out`."
        ) from error
    return [*files, *(out / name for name, *_ in tables)]


def _check_out(out: Path, names: Sequence[str]) -> None:
    """Refuse a folder that holds files of these names that no comparison has written."""
    if out.is_symlink():
        raise StudyError(f"Expected `out` to be a folder, but {out} is a link: name the folder.")
    existing = [name for name in names if os.path.lexists(out / name)]
    if existing and owner(out) is None:
        raise StudyError(
            f"The folder {out} holds {existing[0]!r}, which no comparison wrote: move it away, or "
            "choose another folder with `out`."
        )


def _read_matching(path: str) -> pd.DataFrame:
    """Return a matching, with all cells as texts."""
    try:
        content = read_bytes(Path(path).expanduser(), _MOST_BYTES, follow=True)
        return pd.read_csv(BytesIO(content), dtype=str)
    except (OSError, ValueError) as error:
        raise StudyError(f"The matching {path} cannot be read: {error}.") from error
