"""The command line: parse, call, print, exit code. Torch is imported only where it is needed."""

import errno
import io
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from hormesis.cli.command_table import COMMANDS
from hormesis.cli.exits import refuse, run_and_report
from hormesis.cli.messages import rename_settings
from hormesis.cli.os_errors import GONE, working_folder_is_gone
from hormesis.cli.parser import Arguments, flag_names, parse_arguments
from hormesis.cli.signals import SIGNALS
from hormesis.errors import HormesisError, MissingExtraError, SettingError, unknown

# Packages of the training that a plain installation does not have.
_EXTRAS = ("lightning", "tensorboard")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code, 2 for anything that the user can fix.

    Args:
        arguments: The words after ``hormesis``; None for those of this process, which then ends.
    """
    return run_and_report(lambda: run(arguments), own_process=arguments is None)


def run(arguments: Sequence[str] | None) -> int:
    """Run the command line as ``main`` does, but raise interrupts and errors of the system."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        command = _capture_help(lambda: parse(words))
        if working_folder_is_gone():  # libraries below would end the process with their own message
            raise SettingError(GONE)
        _check_paths(command)
        function = command_function(command.command)
        SIGNALS.started()
        return function(command) or 0
    except HormesisError as error:
        if SIGNALS.number is not None:  # the error came from a signal
            raise
        return refuse(rename_settings(str(error), flag_names()))


def parse(words: Sequence[str]) -> Arguments:
    """Return the settings of a command line.

    Args:
        words: A command and its arguments.

    Raises:
        SettingError: For an unknown command, and as ``parse_arguments`` does.
        SystemExit: After ``--help``, ``--version`` or ``--print_config``.
    """
    name = next(iter(words), "")
    if name in COMMANDS:
        return parse_arguments(name, words[1:])
    parser = _parser()
    if name in ("-h", "--help", "--version"):
        parser.parse_args([name])
    if not name or name.startswith("-"):
        *names, last = COMMANDS
        raise SettingError(
            f"Expected a command: {', '.join(names)} or {last}; see `hormesis --help`."
        )
    raise SettingError(unknown("command", name, COMMANDS))


def command_function(name: str) -> Callable[[Arguments], int | None]:
    """Return the function of a command, whose module is imported.

    Raises:
        MissingExtraError: If it needs Lightning, which is not installed.
    """
    try:
        return import_module(f"hormesis.cli.commands.{name}").run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRAS:
            raise
        raise MissingExtraError(
            "Training needs Lightning: run `pip install 'hormesis[train]'`."
        ) from error


def _parser() -> ArgumentParser:
    """Return the parser that prints the list of commands."""
    parser = ArgumentParser(
        prog="hormesis",
        usage="hormesis [--version] COMMAND ...",
        description="Tell which parameters of a trained neural network are fragile, robust or "
        "antifragile.",
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"hormesis {version('hormesis')}",
        help="print the version and exit",
    )
    commands = parser.add_subparsers(
        title="commands", description="`hormesis COMMAND --help` tells more.", metavar="COMMAND"
    )
    for name, command in COMMANDS.items():
        commands.add_parser(name, help=command.summary)
    return parser


def _capture_help(parse: Callable[[], Arguments]) -> Arguments:
    """Parse a command line and capture its output, such as --help, so that printing it can fail.

    Argparse itself ignores errors while it prints.
    """
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            return parse()
    finally:
        sys.stdout.write(printed.getvalue())


def _check_paths(arguments: Arguments) -> None:
    """Refuse names of files and folders that are too long, or links that lead to themselves.

    Raises:
        OSError: Naming the file or folder.
    """
    for flag in COMMANDS[arguments.command].flags:
        value = arguments.values[flag.key]
        for name in value if isinstance(value, tuple) else (value,):
            if not flag.is_path or not isinstance(name, str):
                continue
            try:
                Path(name).expanduser().stat()
            except OSError as error:
                if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
                    raise
            except RuntimeError:  # a home that does not exist, which is refused where it is read
                continue


if __name__ == "__main__":
    sys.exit(main())
