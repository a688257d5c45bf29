"""``hormesis plot``: one picture of a study, fit for a paper."""

from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from hormesis.cli.config import scoring_from
from hormesis.cli.flags import add_scoring, make_parser
from hormesis.errors import SettingError, StudyError
from hormesis.report.plots.table import PLOTS, WIDTHS
from hormesis.settings.choices import check_choice

if TYPE_CHECKING:
    from hormesis.report.plots.style import Picture
    from hormesis.results.series import StudySeries
    from hormesis.results.study import Study

KINDS = tuple(PLOTS)
FORMATS = ("svg", "pdf", "png")


def parser() -> ArgumentParser:
    """Return the parser of ``hormesis plot``."""
    made = make_parser(
        "Draw a picture of a study for a paper.", usage="hormesis plot [options] STUDY"
    )
    add = made.add_argument
    add(
        "study",
        type=str,
        metavar="STUDY",
        help="folder of a study or, for epochs, of the studies of a training",
    )
    add(
        "--what",
        type=str,
        metavar="PICTURE",
        default="heatmap",
        help=f"{', '.join(KINDS)} (default: %(default)s)",
    )
    add(
        "--target",
        type=str,
        nargs="*",
        default=[],
        metavar="NAME",
        help="targets to show, with * and ? (default: all, or those that tell most)",
    )
    add(
        "--width",
        type=str,
        metavar="COLUMNS",
        default="single",
        help="single for one column of a page, double for two (default: %(default)s)",
    )
    add("--format", type=str | None, help=f"{', '.join(FORMATS)} (default: as --out ends, or pdf)")
    add(
        "--out",
        type=str | None,
        metavar="FILE",
        help="file to write (default: named by study and picture, in the current folder)",
    )
    add_scoring(made, of_study=True)
    return made


def run(given: Namespace) -> None:
    """Draw the picture, write it, and say where it is."""
    check_choice("picture", given.what, KINDS)
    check_choice("width", given.width, WIDTHS)
    out = _file(given)

    from hormesis.report.plots.style import save
    from hormesis.report.text.console import printable
    from hormesis.results.series import load_study_or_series
    from hormesis.storage.user_files import replacing

    study = load_study_or_series(given.study)
    scored = study.with_scoring(scoring_from(given, study.scoring))
    picture = _drawn(scored, given)
    with replacing(out, "picture") as partial:
        save(picture, partial)
    print(f"picture: {out}")
    for note in _unfinished(scored):
        print(printable(note))


def _unfinished(study: "Study | StudySeries") -> list[str]:
    """Return what a reader has to know of studies that are not finished."""
    from hormesis.results.series import StudySeries

    members = study.members.values() if isinstance(study, StudySeries) else [study]
    return [note for member in members if not member.finished for note in member.notes]


def _file(given: Namespace) -> Path:
    """Return where the picture goes; its suffix is its format."""
    if given.format is not None:
        check_choice("format", given.format, FORMATS)
    if given.out is None:
        name = Path(given.study).resolve().name
        return Path(f"{name}-{given.what}.{given.format or 'pdf'}")
    out = Path(given.out).expanduser()
    ending = out.suffix.lower().removeprefix(".")
    wanted = (given.format,) if given.format else FORMATS
    if ending not in wanted:
        raise SettingError(f"Expected `out` to end in .{' or .'.join(wanted)}, got {out}.")
    return out


def _drawn(study: "Study | StudySeries", given: Namespace) -> "Picture":
    from hormesis.results.series import StudySeries
    from hormesis.storage.epoch_folders import epoch_folder

    if isinstance(study, StudySeries):
        if given.what == "epochs":
            return study.plot.epochs(*given.target, width=given.width)
        last = epoch_folder(study.folder, max(study.members))
        raise StudyError(
            f"The folder {study.folder} holds the studies of several epochs: draw the picture "
            f"'epochs', or name one of them, such as {last}."
        )
    if given.what == "epochs":
        raise StudyError(
            f"The study {given.study} is of one epoch: name a folder with the studies of several, "
            "as `hormesis analyze --run` writes it."
        )
    return getattr(study.plot, given.what)(*given.target, width=given.width)
