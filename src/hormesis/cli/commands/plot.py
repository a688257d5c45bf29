"""``hormesis plot``: one picture of a study, for a paper."""

from dataclasses import replace
from pathlib import Path

from hormesis.cli.options import PlotOptions
from hormesis.cli.parser import Arguments
from hormesis.errors import SettingError, StudyError
from hormesis.report.plots.style import Picture, save
from hormesis.report.plots.table import PLOTS
from hormesis.report.text.console import printable
from hormesis.results.series import StudySeries, load_study_or_series
from hormesis.results.study import Study
from hormesis.settings.scoring import Scoring
from hormesis.storage.series_folders import EPOCH, member_folder
from hormesis.storage.user_files import replacing_user_file

FORMATS = ("svg", "pdf", "png")


def run(arguments: Arguments) -> None:
    """Draw the picture, write it, and print its path."""
    options = arguments[PlotOptions]
    out = _output_file(options)
    study = load_study_or_series(options.study)
    study = study.with_scoring(replace(study.scoring, **arguments.overrides(Scoring)))
    picture = _draw(study, options)
    with replacing_user_file(out, "picture") as partial:
        save(picture, partial)
    print(f"picture: {out}")
    for note in _unfinished_notes(study):
        print(printable(note))


def _unfinished_notes(study: Study | StudySeries) -> list[str]:
    """Return the notes of the studies that are not finished."""
    members = study.members.values() if isinstance(study, StudySeries) else [study]
    return [note for member in members if not member.finished for note in member.notes]


def _output_file(options: PlotOptions) -> Path:
    """Return the file of the picture; its suffix is its format."""
    if options.out is None:
        name = Path(options.study).resolve().name
        return Path(f"{name}-{options.what}.{options.format or 'pdf'}")
    out = Path(options.out).expanduser()
    ending = out.suffix.lower().removeprefix(".")
    formats = (options.format,) if options.format else FORMATS
    if ending not in formats:
        raise SettingError(f"Expected `out` to end in .{' or .'.join(formats)}, got {out}.")
    return out


def _draw(study: Study | StudySeries, options: PlotOptions) -> Picture:
    of_series = PLOTS[options.what].series
    if isinstance(study, StudySeries) and not of_series:
        last = member_folder(study.folder, study.axis, max(study.members))
        raise StudyError(
            f"The folder {study.folder} holds a series of studies: draw the picture "
            f"'{'epochs' if study.axis == EPOCH else 'surface'}', or name one of them, such as "
            f"{last}."
        )
    if of_series and not isinstance(study, StudySeries):
        raise StudyError(
            f"The folder {options.study} holds one study: name a folder with the studies of "
            "several epochs or magnitudes, as `hormesis analyze` writes it with `--run` or with "
            "several of `--epsilon`."
        )
    return getattr(study.plot, options.what)(*options.target, width=options.width)
