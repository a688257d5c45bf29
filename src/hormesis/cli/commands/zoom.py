"""``hormesis zoom``: the single weights that matter most."""

from pathlib import Path

from hormesis.cli.attack_options import AttackOptions
from hormesis.cli.commands.analyze import place_or_name
from hormesis.cli.options import MeasurementOptions, ZoomOptions
from hormesis.cli.parser import Arguments
from hormesis.errors import SettingError
from hormesis.measure.by_name import zoom_by_name
from hormesis.report.text.export import export_table
from hormesis.report.text.zoom import print_zoom
from hormesis.settings.execution import Execution
from hormesis.settings.network import ModelAndData
from hormesis.settings.request import AnalysisRequest
from hormesis.settings.sweep import Sweep
from hormesis.settings.zoom import ZoomSettings


def run(arguments: Arguments) -> None:
    """Search, print what matters, and write the table if there is a file for it."""
    attack, measurement = arguments[AttackOptions], arguments[MeasurementOptions]
    options = arguments[ZoomOptions]
    if attack.epsilons:
        raise SettingError("Expected one `epsilon` for a zoom, got several: choose one of them.")
    _check_out(options.out)
    request = AnalysisRequest(
        attack=attack.to_attack(),
        sweep=Sweep(seed=options.seed),
        metric=measurement.metric,
        loss=measurement.loss,
        output=place_or_name(measurement.output),
        label=place_or_name(measurement.label),
        execution=arguments[Execution],
    )
    found = zoom_by_name(arguments[ModelAndData], request, arguments[ZoomSettings])
    if options.out is not None:
        export_table(found.table, "csv", options.out, "--out")
    print_zoom(found, options.out)


def _check_out(out: str | None) -> None:
    """Refuse a file that could not be written, before anything is measured."""
    file = None if out is None else Path(out).expanduser()
    if file is not None and (file.is_dir() or not file.parent.is_dir()):
        raise SettingError(f"Expected `out` to be a file in a folder that exists, got {out}.")
