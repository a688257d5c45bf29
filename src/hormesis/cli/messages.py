"""Names of settings in sentences: as arguments of a Python call, or as flags."""

import re
from collections.abc import Mapping

# A manifest "lacks `base`" and "its `scoring`" is wrong, whatever flags there are.
_SETTING = re.compile(r"(?<!lacks )(?<!proper )(?<!its )`(\w+)`")


def rename_settings(sentence: str, names: Mapping[str, str]) -> str:
    """Return a sentence with other names for the settings that it has in backticks.

    Args:
        sentence: A sentence of the library, which names settings as arguments of a Python call.
        names: New names of some of them.

    Example:
        >>> rename_settings("Expected `own_span`, not `labels`.", {"own_span": "--own-span"})
        'Expected `--own-span`, not `labels`.'
        >>> rename_settings("The manifest is damaged: it lacks `base`.", {"base": "--base"})
        'The manifest is damaged: it lacks `base`.'
    """
    return _SETTING.sub(lambda match: f"`{names.get(match[1], match[1])}`", sentence)
