"""The command line: parse, call, print, exit code. Torch is imported only where it is needed."""

import io
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from hormesis.cli.commands import compare, epochs, plot, report, retrain, status, train, watch
from hormesis.cli.config import named_from, run_from, scoring_from, sweep_from, targets_from
from hormesis.cli.config_security import code_in, refuse_code, refuse_large_files, without_files
from hormesis.cli.confirmation_flags import confirmation_from
from hormesis.cli.exits import guarded, refuse
from hormesis.cli.flags import add_scoring, analyze_parser, check_given, make_parser
from hormesis.cli.messages import refusal, with_flags
from hormesis.cli.os_errors import GONE, here_is_gone
from hormesis.cli.paths import check_places, check_texts
from hormesis.cli.signals import SIGNALS
from hormesis.errors import HormesisError, SettingError, StudyError
from hormesis.settings.attacks import make_attack
from hormesis.settings.choices import check_choice

TABLES = ("scores", "responses", "targets")
FORMATS = ("csv", "parquet", "json")
PICTURE = "overview.png"
_NO_FLAGS = ("config", "study", "studies", "paths")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code, 2 for anything that the user can mend.

    Args:
        arguments: The words after ``hormesis``; None for those of this process, which then ends.
    """
    return guarded(lambda: run(arguments), whole=arguments is None)


def run(arguments: Sequence[str] | None) -> int:
    """Run the command line, as ``main`` does; interrupts and errors of the system are raised."""
    others = (train, retrain, compare, plot, report, watch)
    parsers = (analyze_parser(), *(each.parser() for each in others))
    settings = [key for each in parsers for key in each.get_defaults().as_dict()]
    keys = [key for key in dict.fromkeys(settings) if key not in _NO_FLAGS]
    try:
        given = parsed(_parser(), sys.argv[1:] if arguments is None else arguments, keys)
        if here_is_gone():  # without which libraries below end the process in their own words
            raise SettingError(GONE)
        check_places(given[given.command])
        SIGNALS.started()
        code = _COMMANDS[given.command](given[given.command])
    except HormesisError as error:
        if SIGNALS.number is not None:  # what came of a signal
            raise
        return refuse(with_flags(str(error), keys))
    return code or 0


def parsed(parser: ArgumentParser, words: Sequence[str], keys: Sequence[str]) -> Namespace:
    """Return the settings of a command line and its configuration files; no code has run.

    Args:
        parser: That of all commands.
        words: The command line.
        keys: All settings, for refusals.

    Raises:
        SettingError: For what is no command, names no setting, or names code in a file.
    """
    refuse_large_files(words)
    try:
        given = _read(parser, words)
    except (ArgumentError, AttributeError, RuntimeError) as error:  # the latter two: of a file
        sentence = refusal(str(error), keys)
        if words[:1] in (["train"], ["retrain"]):
            sentence = sentence.replace("`hormesis analyze", f"`hormesis {words[0]}")
        raise SettingError(sentence) from error
    except OverflowError as error:
        raise SettingError(
            f"The configuration holds a number that is too large: {error}."
        ) from error
    except UnicodeDecodeError as error:
        raise SettingError(f"The configuration file is no text: {error}.") from error
    asked = given[given.command]
    if asked.get("allow_code") or any(code_in(asked)):
        refuse_code(asked, parser.parse_args(without_files(words))[given.command])
    check_texts(asked)
    return given


def _read(parser: ArgumentParser, words: Sequence[str]) -> Namespace:
    """Parse a command line; what a flag prints, as --help does, is printed whole or an error.

    Argparse itself passes over errors while it prints.
    """
    said = io.StringIO()
    try:
        with redirect_stdout(said):
            return parser.parse_args(words)
    finally:
        sys.stdout.write(said.getvalue())


def _parser() -> ArgumentParser:
    """Return the parser of all commands."""
    parser = make_parser(
        "Tell which parameters of a trained neural network are fragile, robust or antifragile.",
        usage="hormesis [--version] COMMAND ...",
    )
    parser.add_argument(
        "--version", action="version", version=f"hormesis {version('hormesis')}", help="print it"
    )
    commands = parser.add_subcommands(
        title="commands",
        description="`hormesis COMMAND --help` tells more.",
        dest="command",
        required=True,
    )
    commands.add_subcommand("analyze", analyze_parser(), help="measure and score a network")
    commands.add_subcommand("train", train.parser(), help="train a network, epoch by epoch")
    commands.add_subcommand("retrain", retrain.parser(), help="train the robust parts on")
    commands.add_subcommand("show", _show_parser(), help="print the scores of a study")
    commands.add_subcommand("export", _export_parser(), help="write a table of a study")
    commands.add_subcommand("compare", compare.parser(), help="compare several studies")
    commands.add_subcommand("plot", plot.parser(), help="draw a picture of a study for a paper")
    commands.add_subcommand("report", report.parser(), help="write a page to look at")
    commands.add_subcommand("status", status.status_parser(), help="say how far a study is")
    commands.add_subcommand("verify", status.verify_parser(), help="check every file of a study")
    commands.add_subcommand("watch", watch.parser(), help="show a study while it is measured")
    return parser


def _show_parser() -> ArgumentParser:
    parser = make_parser(
        "Print the scores of a study, on request by another base or reference.",
        usage="hormesis show [options] STUDY",
    )
    parser.add_argument("study", type=str, metavar="STUDY", help="folder of the study")
    add_scoring(parser, of_study=True)
    return parser


def _export_parser() -> ArgumentParser:
    parser = make_parser("Write a table of a study.", usage="hormesis export [options] STUDY")
    add = parser.add_argument
    add("study", type=str, metavar="STUDY", help="folder of the study")
    add(
        "--what",
        type=str,
        metavar="TABLE",
        default="scores",
        help=f"{', '.join(TABLES)} (default: %(default)s)",
    )
    add("--format", type=str, default="csv", help=f"{', '.join(FORMATS)} (default: %(default)s)")
    add("--to", type=str | None, metavar="FILE", help="file to write (default: standard output)")
    add_scoring(parser, of_study=True)
    return parser


def _analyze(given: Namespace) -> int | None:
    check_given(given)
    if given.run is not None:
        return epochs.run(given)
    if given.epochs is not None:
        raise SettingError("Expected `run`, the folder of a training, for `epochs`; got none.")
    attack = make_attack(given.attack, given.epsilon, steps=given.steps, step_size=given.step_size)
    named, run = named_from(given), run_from(given)
    measured = targets_from(given), sweep_from(given), scoring_from(given)
    out = Path(given.out or given.extend or Path("studies") / named.study_name(attack.name))

    sinks = watch.sinks_from(given.live, given.tensorboard, out)

    from hormesis.measure.by_name import analyze_named  # imports torch, which takes seconds
    from hormesis.report.html.live import following

    asked = {"performance": given.metric, "out": out, "execution": run}
    asked["confirmation"] = confirmation_from(given)
    with following(out, sinks) as follower:
        study = analyze_named(named, attack, measured, **asked)
    watch.tell(follower)
    from hormesis.report.plots.overview import draw_overview
    from hormesis.report.text.summary import print_summary
    from hormesis.storage.atomic import replacing

    try:
        with replacing(out / PICTURE) as temporary:
            draw_overview(study, temporary)
    except OSError as error:
        raise StudyError(
            f"The study {out} is complete, but its picture cannot be written: {error.strerror}. "
            "Free some space and run the same command again, which opens the study."
        ) from error
    print_summary(study, picture=out / PICTURE)
    return None


def _show(given: Namespace) -> None:
    from hormesis.report.text.epoch_table import print_evolution
    from hormesis.report.text.summary import print_summary
    from hormesis.results.series import StudySeries, load_study_or_series

    study = load_study_or_series(given.study)
    study = study.with_scoring(scoring_from(given, study.scoring))
    if isinstance(study, StudySeries):
        print_evolution(study)
    else:
        print_summary(study)


def _export(given: Namespace) -> None:
    check_choice("table", given.what, TABLES)
    check_choice("format", given.format, FORMATS)

    from hormesis.report.text.export import export_table
    from hormesis.results.series import load_study_or_series

    study = load_study_or_series(given.study)
    study = study.with_scoring(scoring_from(given, study.scoring))
    export_table(getattr(study, given.what), given.format, given.to)


_COMMANDS: dict[str, Callable[[Namespace], int | None]] = {
    "analyze": _analyze,
    "train": train.run,
    "retrain": retrain.run,
    "show": _show,
    "export": _export,
    "compare": compare.run,
    "plot": plot.run,
    "report": report.run,
    "status": status.status,
    "verify": status.verify,
    "watch": watch.run,
}

if __name__ == "__main__":
    sys.exit(main())
