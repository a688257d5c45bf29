"""``hormesis analyze --epsilon 2/255,4/255``: a study for each magnitude of an attack."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from hormesis.cli.attack_options import AttackOptions
from hormesis.cli.commands.watch import live_reports, write_picture
from hormesis.cli.options import LiveOptions
from hormesis.cli.parser import Arguments
from hormesis.measure.by_name import analyze_magnitudes_by_name
from hormesis.report.plots.evolution import draw_evolution
from hormesis.report.text.series_table import print_series
from hormesis.settings.network import ModelAndData
from hormesis.settings.request import AnalysisRequest

PICTURE = "epsilons.png"


def run(arguments: Arguments, request: AnalysisRequest) -> int:
    """Analyse at every magnitude, print how classes turn, and return the exit code."""
    source = arguments[ModelAndData]
    out = request.out or Path("studies") / f"{source.study_name(request.attack.name)}-epsilons"
    with live_reports(arguments[LiveOptions], out):
        studies = analyze_magnitudes_by_name(
            source, replace(request, out=out), arguments[AttackOptions].epsilons
        )
    write_picture(partial(draw_evolution, studies), out / PICTURE, f"The studies in {out} are")
    print_series(studies, picture=out / PICTURE)
    return 0
