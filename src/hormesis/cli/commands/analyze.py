"""``hormesis analyze``: a study of one network, or one for every checkpoint of a training."""

from dataclasses import replace
from pathlib import Path

from hormesis.cli.commands import epochs
from hormesis.cli.commands.watch import print_trouble, sinks_from
from hormesis.cli.options import (
    AttackOptions,
    CheckpointOptions,
    LiveOptions,
    MeasurementOptions,
    StudyOutput,
)
from hormesis.cli.parser import Arguments
from hormesis.errors import StudyError
from hormesis.measure.by_name import analyze_by_name
from hormesis.report.html.live import following
from hormesis.report.plots import overview
from hormesis.report.text import summary
from hormesis.settings.confirmation import Confirmation
from hormesis.settings.execution import Execution
from hormesis.settings.network import ModelAndData
from hormesis.settings.request import AnalysisRequest
from hormesis.settings.scoring import Scoring
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from hormesis.storage.atomic import replacing

PICTURE = "overview.png"


def run(arguments: Arguments) -> int:
    """Analyse, print what came out, and return the exit code."""
    if arguments[CheckpointOptions].run is not None:
        return epochs.run(arguments, request_from(arguments))
    source, request = arguments[ModelAndData], request_from(arguments)
    out = request.out or Path("studies") / source.study_name(request.attack.name)
    live = arguments[LiveOptions]
    with following(out, sinks_from(live.live, live.tensorboard, out)) as follower:
        study = analyze_by_name(source, replace(request, out=out))
    print_trouble(follower)
    try:
        with replacing(out / PICTURE) as temporary:
            overview.draw_overview(study, temporary)
    except OSError as error:
        raise StudyError(
            f"The study {out} is complete, but its picture cannot be written: {error.strerror}. "
            "Free some space and run the same command again, which opens the study."
        ) from error
    summary.print_summary(study, picture=out / PICTURE)
    return 0


def request_from(arguments: Arguments) -> AnalysisRequest:
    """Return what was asked for besides network and data; without ``out``, it has none."""
    sweep, scoring = arguments[Sweep], arguments[Scoring]
    measurement, execution = arguments[MeasurementOptions], arguments[Execution]
    folder = arguments[StudyOutput].out or execution.extend
    return AnalysisRequest(
        attack=arguments[AttackOptions].made(),
        targets=arguments[Targets],
        sweep=replace(
            sweep,
            span=None if measurement.own_span else sweep.span,
            control=sweep.control or scoring.reference == "random",
        ),
        scoring=scoring,
        metric=measurement.metric,
        out=None if folder is None else Path(folder),
        execution=execution,
        confirmation=arguments[Confirmation],
    )
