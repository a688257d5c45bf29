"""How a command ends: with a message and an exit code, whatever ends it.

This module must import quickly: it has to be active while the rest is imported.
``docs/resuming.md`` lists the exit codes.
"""

import errno
import io
import logging
import os
import select
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress

from hormesis.cli.os_errors import CLOSED, sentence_of
from hormesis.cli.signals import SIGNALS
from hormesis.errors import printable

REFUSED = 2
BROKEN_PIPE = 141  # as a shell reports a process that SIGPIPE ended


def run_and_report(run: Callable[[], int], *, own_process: bool = False) -> int:
    """Run a command and return its exit code; report errors in one sentence.

    Args:
        run: The command; it returns an exit code.
        own_process: Whether the process ends with the command; signals then stay caught to the end.

    Returns:
        What ``run`` returned; 2 for an error that a user can fix; 128 and the number of
        the signal that ended it; 141 if nobody reads the output any more.

    Raises:
        SystemExit: If ``run`` did, as for ``--help``, and what it printed was written.
    """
    if own_process:
        silence_libraries()
    with SIGNALS.caught(to_the_end=own_process):
        try:
            code = _run_and_flush(run)
        except BaseException as error:  # a signal may hide behind any other error
            exit_code = _report(error, own_process=own_process)
            if exit_code is None:
                SIGNALS.finish(_code_of(error))
                raise
            code = exit_code
        SIGNALS.finish(code)
        return code


def silence_libraries() -> None:
    """Keep the warnings and logs of libraries from the screen, unless Python was told to show them.

    They are addressed to programmers: what a user has to know is in the results and in errors.
    ``PYTHONWARNINGS`` and ``python -W`` bring warnings back.
    """
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    logging.getLogger().addHandler(logging.NullHandler())  # else Python prints what nobody handles


def _run_and_flush(run: Callable[[], int]) -> int:
    """Run a command, and make sure that what it printed has been written."""
    if not _descriptors():
        return refuse(CLOSED)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without the letter ε is no reason
    try:
        code = run()
    except SystemExit:
        _flush()
        raise
    _flush()
    return code


def _flush() -> None:
    try:
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            error.filename = "Standard output"
        raise


def _descriptors() -> bool:
    """Open the null device for closed standard streams, so that no other file takes their numbers.

    Returns:
        Whether there is a standard output.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    return sys.stdout is not None


def _report(error: BaseException, *, own_process: bool) -> int | None:
    """Report what ended a command, and return its exit code; None leaves the error as it is."""
    if SIGNALS.number is not None:
        if own_process:
            drop_output()  # whoever reads it may not be quick to
        tell(f"hormesis: {SIGNALS.sentence()}")
        return SIGNALS.code()
    if isinstance(error, KeyboardInterrupt):
        tell("hormesis: interrupted; run the same command again to go on.")
        return 128 + signal.SIGINT
    if isinstance(error, BrokenPipeError | ConnectionResetError) and _reader_has_left():
        drop_output()
        return BROKEN_PIPE
    sentence = sentence_of(error)
    if sentence is None:
        return None
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        drop_output()  # or Python tries once more at its end
    return refuse(sentence)


def _code_of(error: BaseException) -> int:
    """Return the exit code that Python gives to an error that nobody caught."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return 1


def _reader_has_left() -> bool:
    """Return whether whoever read standard output, or standard error, has gone, as `head` does."""
    if not hasattr(select, "poll"):
        return True
    for number in (1, 2):
        poll = select.poll()
        poll.register(number, select.POLLOUT)
        if any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0)):
            return True
    return False


def refuse(sentence: str) -> int:
    """Print an error that a user can fix, in one line on standard error, and return 2."""
    tell(f"hormesis: error: {printable(' '.join(sentence.split()))}")
    return REFUSED


def tell(line: str) -> None:
    """Print a line on standard error, if it can be written."""
    with suppress(OSError, ValueError):  # full, or nobody reads it: it cannot be reported
        print(line.encode(errors="backslashreplace").decode(), file=sys.stderr, flush=True)


def drop_output() -> None:
    """Discard all further standard output, also when Python ends."""
    with suppress(OSError, ValueError, AttributeError):  # no file of the system's, as in a notebook
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
