"""What can be applied: studies of filters, finished, under a stress if the aim is robustness."""

from pathlib import Path

from hormesis.errors import SettingError, StudyError
from hormesis.results.series import load_study_or_series
from hormesis.results.study import Study
from hormesis.settings.apply import Aim, Robust
from hormesis.settings.choices import RAY
from hormesis.settings.execution import Execution


def applicable_study(study: Study | str | Path, aim: Aim, execution: Execution) -> Study:
    """Return a study whose cells can be applied for an aim.

    Args:
        study: The study, or its folder.
        aim: The aim.
        execution: How to measure.

    Raises:
        StudyError: If it is a series, unfinished, or of replacements or a whole-set metric.
        SettingError: If the aim is robustness and nothing was stressed, or the engine is Ray.
    """
    loaded = study if isinstance(study, Study) else load_study_or_series(Path(study).expanduser())
    if not isinstance(loaded, Study):
        raise StudyError(
            f"The folder {study} holds a series of studies: name that of one of them, such as "
            f"{next(iter(loaded.members.values())).folder}."
        )
    if not loaded.finished:
        raise StudyError(
            "The study is not finished: run the same `hormesis analyze` again, which goes on from "
            "there, and apply it then."
        )
    if loaded.replaces:
        raise StudyError(
            "The study replaced values, and only the zeroing of values is applied: analyse with "
            "filters, such as `--filters high_pass low_pass pulse_wave`."
        )
    if loaded.metadata.metric.aggregate:
        raise StudyError(
            f"The metric {loaded.metadata.question.metric.name!r} scores a whole set of samples, "
            "and a proof compares them one by one: analyse by a metric such as 'accuracy'."
        )
    if isinstance(aim, Robust) and not loaded.stressed:
        raise SettingError(
            "Expected the aim 'sparse' for a study without an attack, got 'robust': analyse under "
            "an attack or on stressed data for a better performance there."
        )
    if execution.engine == RAY:
        raise SettingError(
            "Expected another `engine` than 'ray' to apply a study, which this machine measures."
        )
    return loaded
