"""Work in a folder of ours: alone, marked as ours, and with a sentence for whatever goes wrong."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from hormesis.errors import HormesisError, TrainingError
from hormesis.results.training_run import CHECKPOINTS
from hormesis.storage.atomic import make_folder, remove_leftovers
from hormesis.storage.lock import LOCK, lock_folder
from hormesis.storage.ownership import MARKER, claim, owner
from hormesis.storage.training_files import UNWRITABLE, reason_of, remedy_of

# What libraries say of errors of the system, of which they do not give the number.
_HIDDEN = (
    (errno.EMFILE, r"[Tt]oo many open files|received 0 items of ancdata"),
    (errno.ENOSPC, r"No space left|[Dd]isk quota|insufficient shared memory|File too large"),
    (errno.EIO, r"inline_container|PytorchStream|iostream error|Input/output error|os error \d"),
    (errno.EIO, r"DataLoader worker|unable to (open|mmap|write|resize)|shared memory"),
)


@contextmanager
def locked_run(folder: Path, kind: str) -> Iterator[None]:
    """Let no other process work in a folder, which is made and marked as ours if it is not there.

    What a process that died has left behind of temporary files is deleted. After an error, what
    was made and holds nothing is taken away.

    Args:
        folder: The folder.
        kind: What it holds, see ``Owner``.

    Raises:
        TrainingError: If another process works there, or the folder is of another kind.
        OSError: If it cannot be written.
    """
    if folder.is_symlink():
        raise TrainingError(
            f"The folder {folder} is a link: name the folder that it leads to with `out`."
        )
    made = make_folder(folder)
    try:
        with lock_folder(folder, TrainingError):
            fresh = owner(folder) is None
            claim(folder, kind, error=TrainingError)
            for each in (folder, folder / CHECKPOINTS):
                if not each.is_symlink():
                    remove_leftovers(each, alone=True)
            try:
                yield
            except BaseException:
                if fresh and {path.name for path in folder.iterdir()} <= {MARKER, LOCK}:
                    (folder / MARKER).unlink()
                raise
    except BaseException:
        for each in made:
            with suppress(OSError):
                each.rmdir()
        raise


@contextmanager
def explaining_errors(folder: Path) -> Iterator[None]:
    """Say in a sentence what the system refuses while a training works, whoever reports it.

    Args:
        folder: Its folder.

    Raises:
        TrainingError: In the place of an error of the system, also where a library hides it in one
            of its own; other errors pass.
    """
    try:
        yield
    except HormesisError:
        raise
    except (OSError, RuntimeError, ImportError, SafetensorError, EOFError, ValueError) as error:
        found = _of_system(error)
        if found is None:
            raise
        raise TrainingError(_sentence(folder, found)) from error


def _of_system(error: BaseException) -> OSError | None:
    """Return the error of the system behind an error, or None if there is none."""
    seen: BaseException | None = error
    for _ in range(8):
        if isinstance(seen, OSError) and seen.errno:
            return seen
        if seen is None:
            break
        seen = seen.__cause__ or seen.__context__
    message = str(error)
    number = next((number for number, words in _HIDDEN if re.search(words, message)), None)
    return None if number is None else OSError(number, os.strerror(number))


def _sentence(folder: Path, error: OSError) -> str:
    reason = reason_of(error)
    named = error.filename
    where = f" at {os.fsdecode(named)}" if isinstance(named, str | bytes) else ""
    stopped = f"The training in {folder} was stopped ({reason}{where})"
    again = "run the same command again, which goes on after the last whole epoch"
    if error.errno in UNWRITABLE and (not where or _within(folder, named)):
        return f"The folder {folder} cannot be written: {reason}. Choose another one with `out`."
    return f"{stopped}: {remedy_of(error)} and {again}."


def _within(folder: Path, named: str | bytes) -> bool:
    path, root = Path(os.fsdecode(named)).absolute(), folder.absolute()
    return path.is_relative_to(root) or root.is_relative_to(path)
