"""``hormesis show``: the scores of a study, on request by another scoring."""

from dataclasses import replace

from hormesis.cli.options import ShowOptions
from hormesis.cli.parser import Arguments
from hormesis.report.text.series_table import print_series
from hormesis.report.text.summary import print_summary
from hormesis.results.series import StudySeries, load_study_or_series
from hormesis.settings.scoring import Scoring


def run(arguments: Arguments) -> None:
    """Print the scores of a study, or how those of several epochs change."""
    study = load_study_or_series(arguments[ShowOptions].study)
    study = study.with_scoring(replace(study.scoring, **arguments.overrides(Scoring)))
    if isinstance(study, StudySeries):
        print_series(study)
    else:
        print_summary(study)
