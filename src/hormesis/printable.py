"""Text that no name from a file can turn into a command to the terminal."""

import unicodedata

# Letters that turn the direction of what follows, so that a reader sees another text.
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    r"""Return a text with its control characters spelled out; line ends stay.

    Example:
        >>> printable("fc\x1b[2J.weight")
        'fc\\x1b[2J.weight'
    """
    return "".join(
        letter.encode("ascii", "backslashreplace").decode()
        if letter in _TURNING
        else f"\\x{ord(letter):02x}"
        if unicodedata.category(letter) == "Cc" and letter != "\n"
        else letter
        for letter in text
    )
