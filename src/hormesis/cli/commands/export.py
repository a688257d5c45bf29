"""``hormesis export``: a table of a study as a file for other programs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from hormesis.cli.options import BITS, MASKS, RATIOS, TURNS, ExportOptions
from hormesis.cli.parser import Arguments
from hormesis.errors import SettingError, StudyError
from hormesis.report.text.export import export_masks, export_table
from hormesis.results.applied import Applied, is_applied, load_applied
from hormesis.results.bits import bits_per_layer
from hormesis.results.masks import masks_per_layer, read_arrays
from hormesis.results.ratios import ratios_per_layer
from hormesis.results.series import StudySeries, load_study_or_series
from hormesis.results.study import Study
from hormesis.settings.scoring import Scoring

_WITHIN_BUDGET = {BITS: bits_per_layer, RATIOS: ratios_per_layer}
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
    if is_applied(options.study):
        _of_applied(load_applied(options.study), options)
        return
    study = load_study_or_series(options.study)
    study = study.with_scoring(replace(study.scoring, **arguments.overrides(Scoring)))
    if options.what == TURNS and not isinstance(study, StudySeries):
        raise StudyError(
            f"The folder {options.study} holds one study, in which no class turns: name a folder "
            "with studies of several magnitudes or epochs."
        )
    if options.what == MASKS:
        _masks(_one_study(study, options), options)
        return
    if options.what in _WITHIN_BUDGET:
        within_budget = _WITHIN_BUDGET[options.what]
        table: Any = within_budget(_one_study(study, options), options.budget, on=options.on)
    else:
        table = getattr(study, options.what)
    unmeasured = [name for name in _UNDER_ATTACK if name in table and table[name].isna().all()]
    export_table(table.drop(columns=unmeasured), options.format, options.to)


def _one_study(study: Study | StudySeries, options: ExportOptions) -> Study:
    """Return the study, of one network."""
    if isinstance(study, StudySeries):
        raise StudyError(
            f"The {options.what} of a layer are those of one network: name the study of one epoch "
            f"in {options.study}."
        )
    return study


def _of_applied(applied: Applied, options: ExportOptions) -> None:
    """Write what is zeroed in an applied network."""
    if options.what == MASKS:
        export_masks(applied.masks, _file(options))
    elif options.what == RATIOS:
        export_table(applied.ratios, options.format, options.to)
    else:
        raise StudyError(
            f"An applied network has masks and ratios, no {options.what}: name the folder of its "
            f"study, {applied.metadata.study.path or 'which was in none'}."
        )


def _file(options: ExportOptions) -> str:
    """Return the file that the user named for masks."""
    if options.to is None:
        raise SettingError("Masks are no text: name a file for them with `to`.")
    return options.to


def _masks(study: Study, options: ExportOptions) -> None:
    """Write the masks of what can be removed."""
    to = _file(options)
    if options.weights is None:
        raise SettingError(
            "Expected the network's `weights`, as safetensors, for masks: a study keeps none."
        )
    weights = read_arrays(Path(options.weights).expanduser())
    export_masks(masks_per_layer(study, weights, options.budget, on=options.on), to)
