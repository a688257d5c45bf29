"""How severe a corruption is: five severities, as published, of images and texts alike."""

from hormesis.errors import SettingError
from hormesis.settings.choices import MOST_SEED

SEVERITIES = range(1, 6)
USUAL = 3


def check_severity(severity: int, seed: int) -> None:
    """Refuse a severity and a seed of what is drawn that no corruption has.

    Raises:
        SettingError: Naming which.
    """
    if type(severity) is not int or severity not in SEVERITIES:
        raise SettingError(f"Expected `severity` as a whole number from 1 to 5, got {severity!r}.")
    if type(seed) is not int or not 0 <= seed <= MOST_SEED:
        raise SettingError(
            f"Expected `seed` as a whole number from 0 to {MOST_SEED}, got {seed!r}."
        )


def severity_in(name: str) -> int:
    """Return the severity that a name on the command line ends with, or the usual one.

    Args:
        name: A kind of corruption, alone or with its severity.

    Raises:
        SettingError: For anything but a number behind the colon.

    Example:
        >>> severity_in("typos:2"), severity_in("contrast")
        (2, 3)
    """
    kind, colon, severity = name.partition(":")
    if colon and not severity.isdecimal():
        raise SettingError(
            f"Expected a severity from 1 to 5 behind the corruption {kind!r}, got {severity!r}."
        )
    return int(severity) if colon else USUAL
