"""The flags of ``hormesis analyze`` that ask for the checkpoints of a training."""

from jsonargparse import ArgumentParser

from hormesis.errors import SettingError


def add_epochs(parser: ArgumentParser) -> None:
    """Add ``--run`` and ``--epochs``."""
    add = parser.add_argument_group("checkpoints of a training").add_argument
    add(
        "--run",
        type=str | None,
        metavar="DIR",
        help="folder of `hormesis train`: its network is analysed on its data, epoch by epoch",
    )
    add(
        "--epochs",
        type=str | int | list[int] | None,
        metavar="LIST",
        help="which epochs of --run, such as 1,2,5,10 (default: all with a checkpoint)",
    )


def epochs_from(given: object) -> tuple[int, ...] | None:
    """Return the epochs that a list names; None for all.

    Args:
        given: Whole numbers with commas between them, one number, a list of them, or None.

    Raises:
        SettingError: For anything else.

    Example:
        >>> epochs_from("1,2,5"), epochs_from(3), epochs_from([0, 1])
        ((1, 2, 5), (3,), (0, 1))
    """
    if given is None:
        return None
    parts = list(given) if isinstance(given, list | tuple) else str(given).split(",")
    words = [str(part).strip() for part in parts]
    if not words or not all(word.isascii() and word.isdecimal() for word in words):
        raise SettingError(
            "Expected `epochs` to be whole numbers with commas between them, such as 1,2,5, got "
            f"{given!r}."
        )
    return tuple(dict.fromkeys(int(word) for word in words))
