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
from hormesis.cli.exits import guarded, refuse
from hormesis.cli.messages import renamed
from hormesis.cli.os_errors import GONE, here_is_gone
from hormesis.cli.parser import Arguments, flag_names, parsed
from hormesis.cli.signals import SIGNALS
from hormesis.errors import HormesisError, MissingExtraError, SettingError, unknown

# What the training needs and a plain installation does not have.
_EXTRAS = ("lightning", "tensorboard")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code, 2 for anything that the user can mend.

    Args:
        arguments: The words after ``hormesis``; None for those of this process, which then ends.
    """
    return guarded(lambda: run(arguments), whole=arguments is None)


def run(arguments: Sequence[str] | None) -> int:
    """Run the command line, as ``main`` does; interrupts and errors of the system are raised."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        command = _printing_whole(lambda: parse(words))
        if here_is_gone():  # without which libraries below end the process in their own words
            raise SettingError(GONE)
        _check_paths(command)
        function = command_function(command.command)
        SIGNALS.started()
        return function(command) or 0
    except HormesisError as error:
        if SIGNALS.number is not None:  # what came of a signal
            raise
        return refuse(renamed(str(error), flag_names()))


def parse(words: Sequence[str]) -> Arguments:
    """Return the settings of a command line.

    Args:
        words: A command, and what follows it.

    Raises:
        SettingError: For an unknown command, and as ``parsed`` does.
        SystemExit: After ``--help``, ``--version`` or ``--print_config``.
    """
    name = next(iter(words), "")
    if name in COMMANDS:
        return parsed(name, words[1:])
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


def _printing_whole(parse: Callable[[], Arguments]) -> Arguments:
    """Parse a command line; what it prints, as --help does, is printed whole or an error.

    Argparse itself passes over errors while it prints.
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
