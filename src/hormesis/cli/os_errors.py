"""Messages for errors of the system that no other step has handled."""

import errno
import os

_MOST = 100  # letters of a name that are shown
CLOSED = "Standard output is closed: send it to a file, to another program, or to /dev/null."
_FULL = "The disk is full: free some space and run the same command again."
GONE = "The current folder is gone: change to one that is there and run the same command again."
_MEMORY = "Memory ran out: close other programs, or let less be computed at a time, and try again."
_DEPTH = "Something is nested too deeply to be read ({}): give a file with fewer levels."
_LETTERS = "A name holds bytes that are no letters ({}): rename what it names."
_IMPORT = (
    "A package that hormesis needs cannot be imported ({}): install hormesis in this environment "
    "anew."
)
_CIRCLE = "Symlink loop from"  # pathlib raises this before Python 3.13
_REMEDIES = {
    errno.EACCES: "give yourself the right to it, or name another",
    errno.EPERM: "give yourself the right to it, or name another",
    errno.EROFS: "name a place that can be written to",
    errno.ENAMETOOLONG: "give it a shorter name",
    errno.ELOOP: "its links lead in a circle: name the place that is meant",
    errno.EMFILE: "allow more open files (`ulimit -n`) and run the same command again",
    errno.ENFILE: "close other programs and run the same command again",
    errno.EFBIG: "allow larger files (`ulimit -f`) and run the same command again",
    errno.EIO: "look after the disk, and run the same command again",
    errno.ESTALE: "the file system has lost it: run the same command again",
    errno.EBADF: "send it to a file, to another program, or to /dev/null",
    errno.ENOENT: "check the name",
    errno.ENOTDIR: "a part of that path is no folder: check the name",
    errno.EISDIR: "name a file",
    errno.EEXIST: "name another",
    errno.ENOTEMPTY: "name another",
}


def sentence_of(error: BaseException) -> str | None:
    """Return the message for an error that has reached the top, or None for a bug of this package.

    Args:
        error: Anything that was raised.

    Example:
        >>> sentence_of(OSError(errno.ELOOP, "", "here"))  # doctest: +ELLIPSIS
        'here cannot be used (Too many levels ...): its links lead in a circle: name ... meant.'
    """
    if isinstance(error, MemoryError):
        return _MEMORY
    if isinstance(error, RuntimeError) and str(error).startswith(_CIRCLE):
        name = str(error).removeprefix(_CIRCLE).strip(" '")
        return _system_sentence(OSError(errno.ELOOP, os.strerror(errno.ELOOP), name))
    if isinstance(error, UnicodeEncodeError):
        return _LETTERS.format(_first_line(error))
    if isinstance(error, RecursionError):
        return _DEPTH.format(_first_line(error))
    if isinstance(error, ImportError) and not (error.name or "").startswith("hormesis"):
        return _IMPORT.format(_first_line(_root(error)))
    return _system_sentence(error) if isinstance(error, OSError) else None


def _system_sentence(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            _FULL if error.filename is None else f"{_file_name(error)} cannot be written. {_FULL}"
        )
    if error.errno == errno.ENOENT and working_folder_is_gone():
        return GONE
    remedy = _REMEDIES.get(error.errno or 0, "mend that and run the same command again")
    reason = os.strerror(error.errno) if error.errno else _first_line(error)
    if error.filename is None and error.errno == errno.EBADF:
        return f"Standard output cannot be used ({reason}): {remedy}."
    if error.filename is None:
        return f"The system refused what was needed ({reason}): {remedy}."
    return f"{_file_name(error)} cannot be used ({reason}): {remedy}."


def working_folder_is_gone() -> bool:
    """Return whether the current folder was deleted."""
    try:
        os.getcwd()  # noqa: PTH109  (a path is made of it)
    except OSError:
        return True
    return False


def _file_name(error: OSError) -> str:
    """Return the name of the file that an error is about, its middle left out if it is long."""
    name = error.filename
    text = f"File {name}" if isinstance(name, int) else os.fsdecode(name)
    half = _MOST // 2
    return text if len(text) <= _MOST else f"{text[:half]}…{text[-half:]}"


def _root(error: BaseException) -> BaseException:
    """Return the first cause of an error; NumPy puts a page of advice before it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].strip().rstrip(".:")
