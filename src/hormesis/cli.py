"""The command line: parse, call, print, exit code. Torch is imported only where it is needed."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from hormesis.errors import HormesisError
from hormesis.options import (
    add_scoring,
    analyze_parser,
    named_from,
    run_from,
    scoring_from,
    sweep_from,
    targets_from,
)
from hormesis.settings import check_choice
from hormesis.stress.adversaries import make_attack

TABLES = ("scores", "responses", "targets")
FORMATS = ("csv", "parquet", "json")
PICTURE = "overview.png"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code, 2 for anything that the user can mend."""
    try:
        given = _parser().parse_args(arguments)
        _COMMANDS[given.command](given[given.command])
    except (HormesisError, ArgumentError) as error:
        print(f"hormesis: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("hormesis: interrupted; no half-written study was left behind.", file=sys.stderr)
        return 130
    return 0


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="hormesis",
        description="Tell which parameters of a trained neural network are fragile, robust or "
        "antifragile.",
        exit_on_error=False,
    )
    commands = parser.add_subcommands(dest="command", required=True)
    commands.add_subcommand("analyze", analyze_parser(), help="measure and score a network")
    commands.add_subcommand("show", _show_parser(), help="print the scores of a study")
    commands.add_subcommand("export", _export_parser(), help="write a table of a study")
    return parser


def _show_parser() -> ArgumentParser:
    parser = ArgumentParser(
        description="Print the scores of a study, on request by another base or reference.",
        exit_on_error=False,
    )
    parser.add_argument("study", type=str, help="folder of the study")
    add_scoring(parser, of_study=True)
    return parser


def _export_parser() -> ArgumentParser:
    parser = ArgumentParser(description="Write a table of a study.", exit_on_error=False)
    parser.add_argument("study", type=str, help="folder of the study")
    parser.add_argument("--what", type=str, default="scores", help=", ".join(TABLES))
    parser.add_argument("--format", type=str, default="csv", help=", ".join(FORMATS))
    parser.add_argument(
        "--to", type=str | None, metavar="FILE", help="file to write (default: standard output)"
    )
    add_scoring(parser, of_study=True)
    return parser


def _analyze(given: Namespace) -> None:
    attack = make_attack(given.attack, given.epsilon, steps=given.steps)
    named, run = named_from(given), run_from(given)
    measured = targets_from(given), sweep_from(given), scoring_from(given)
    out = Path(given.out or Path("studies") / named.study_name(attack.name))

    from hormesis.named import analyze_named  # imports torch, which takes seconds

    study = analyze_named(named, attack, measured, performance=given.performance, out=out, run=run)
    from hormesis.report.picture import draw_overview
    from hormesis.report.summary import print_summary

    draw_overview(study, out / PICTURE)
    print_summary(study, picture=out / PICTURE)


def _show(given: Namespace) -> None:
    from hormesis.report.summary import print_summary
    from hormesis.study import open_study

    study = open_study(given.study)
    print_summary(study.scored(scoring_from(given, study.scoring)))


def _export(given: Namespace) -> None:
    check_choice("table", given.what, TABLES)
    check_choice("format", given.format, FORMATS)

    from hormesis.report.export import write_table
    from hormesis.study import open_study

    study = open_study(given.study)
    study = study.scored(scoring_from(given, study.scoring))
    write_table(getattr(study, given.what), given.format, given.to)


_COMMANDS: dict[str, Callable[[Namespace], None]] = {
    "analyze": _analyze,
    "show": _show,
    "export": _export,
}

if __name__ == "__main__":
    sys.exit(main())
