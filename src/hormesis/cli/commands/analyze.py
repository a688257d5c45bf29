"""``hormesis analyze``: a study of one network, or one for every checkpoint of a training."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from hormesis.cli.attack_options import AttackOptions
from hormesis.cli.commands import epochs, epsilons
from hormesis.cli.commands.watch import live_reports, write_picture
from hormesis.cli.options import CheckpointOptions, LiveOptions, MeasurementOptions, StudyOutput
from hormesis.cli.parser import Arguments
from hormesis.measure.by_name import analyze_by_name
from hormesis.report.plots.overview import draw_overview
from hormesis.report.text.summary import print_summary
from hormesis.settings.confirmation import Confirmation
from hormesis.settings.execution import Execution
from hormesis.settings.network import ModelAndData
from hormesis.settings.request import AnalysisRequest
from hormesis.settings.scoring import Scoring
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets

PICTURE = "overview.png"


def run(arguments: Arguments) -> int:
    """Analyse, print the scores, and return the exit code."""
    if arguments[CheckpointOptions].run is not None:
        return epochs.run(arguments, request_from(arguments))
    if arguments[AttackOptions].epsilons:
        return epsilons.run(arguments, request_from(arguments))
    source, request = arguments[ModelAndData], request_from(arguments)
    out = request.out or Path("studies") / source.study_name(request.attack.name)
    with live_reports(arguments[LiveOptions], out):
        study = analyze_by_name(source, replace(request, out=out))
    write_picture(partial(draw_overview, study), out / PICTURE, f"The study {out} is")
    print_summary(study, picture=out / PICTURE)
    return 0


def place_or_name(text: str | None) -> int | str | None:
    """Return a number from a text that is one, and every other text as it is.

    Args:
        text: What a user wrote for an output or a label, if anything.
    """
    return int(text) if text is not None and text.lstrip("-").isdecimal() else text


def request_from(arguments: Arguments) -> AnalysisRequest:
    """Return the settings besides network and data; ``out`` is None without a flag for it."""
    sweep, scoring = arguments[Sweep], arguments[Scoring]
    measurement, execution = arguments[MeasurementOptions], arguments[Execution]
    folder = arguments[StudyOutput].out or execution.extend
    return AnalysisRequest(
        attack=arguments[AttackOptions].to_attack(),
        targets=arguments[Targets],
        sweep=replace(
            sweep,
            span=None if measurement.own_span else sweep.span,
            control=sweep.control or scoring.reference == "random",
        ),
        scoring=scoring,
        metric=measurement.metric,
        loss=measurement.loss,
        output=place_or_name(measurement.output),
        label=place_or_name(measurement.label),
        stressed_data=measurement.stressed,
        pairing=measurement.pairing,
        out=None if folder is None else Path(folder),
        execution=execution,
        confirmation=arguments[Confirmation],
    )
