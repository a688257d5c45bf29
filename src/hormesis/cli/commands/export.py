"""``hormesis export``: a table of a study as a file for other programs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from hormesis.cli.options import BITS, TURNS, ExportOptions
from hormesis.cli.parser import Arguments
from hormesis.errors import StudyError
from hormesis.report.text.export import export_table
from hormesis.results.bits import bits_per_layer
from hormesis.results.series import StudySeries, load_study_or_series
from hormesis.results.study import Study
from hormesis.settings.scoring import Scoring

_UNDER_ATTACK = ("adversarial", "random_adversarial")


def run(arguments: Arguments) -> None:
    """Write the table to a file or to standard output."""
    options = arguments[ExportOptions]
    if options.to is not None:
        file = Path(options.to).expanduser()
        if file.is_symlink() and file.is_dir():
            raise StudyError(
                f"The table cannot be written to {file}: it is a link to a folder. Name another "
                "file with `to`."
            )
    study = load_study_or_series(options.study)
    study = study.with_scoring(replace(study.scoring, **arguments.overrides(Scoring)))
    if options.what == TURNS and not isinstance(study, StudySeries):
        raise StudyError(
            f"The folder {options.study} holds one study, in which no class turns: name a folder "
            "with studies of several magnitudes or epochs."
        )
    table: Any = _bits(study, options) if options.what == BITS else getattr(study, options.what)
    unmeasured = [name for name in _UNDER_ATTACK if name in table and table[name].isna().all()]
    export_table(table.drop(columns=unmeasured), options.format, options.to)


def _bits(study: Study | StudySeries, options: ExportOptions) -> pd.DataFrame:
    """Return the bits that each layer needs, of one study."""
    if isinstance(study, StudySeries):
        raise StudyError(
            "The bits of a layer are those of one network: name the study of one epoch in "
            f"{options.study}."
        )
    return bits_per_layer(study, options.budget)
