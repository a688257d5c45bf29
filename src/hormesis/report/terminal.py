"""The terminal, on which no name from a file can move the cursor or change a colour."""

import unicodedata
from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.segment import Segment

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


def console(*, stderr: bool = False, soft_wrap: bool = False) -> Console:
    """Return a console that prints control characters spelled out.

    Args:
        stderr: Print on standard error instead of standard output.
        soft_wrap: Let long lines run on.
    """
    made = Console(stderr=stderr, highlight=False, soft_wrap=soft_wrap)
    made.push_render_hook(_Spelling())
    return made


class _Spelling(RenderHook):
    """Puts ``printable`` between what is rendered and what is written."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Return the same, spelled out when they are rendered."""
        return [_Spelled(renderable) for renderable in renderables]


class _Spelled:
    def __init__(self, inner: Any) -> None:  # noqa: ANN401
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for part in console.render(self._inner, options):
            yield part if part.control else Segment(printable(part.text), part.style)
