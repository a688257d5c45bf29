"""The terminal, on which no name from a file can move the cursor or change a colour."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.segment import Segment

from hormesis.errors import printable

__all__ = ["console", "printable"]


def console(*, stderr: bool = False, soft_wrap: bool = False) -> Console:
    """Return a console that prints control characters escaped.

    Args:
        stderr: Print on standard error instead of standard output.
        soft_wrap: Let long lines run on.
    """
    terminal = _Terminal(stderr=stderr, highlight=False, soft_wrap=soft_wrap)
    terminal.push_render_hook(_EscapeHook())
    return terminal


class _Terminal(Console):
    """A console that leaves a broken pipe to whoever called it; Rich's own exits with 1."""

    def on_broken_pipe(self) -> None:
        """Raise the error again."""
        raise


class _EscapeHook(RenderHook):
    """Puts ``printable`` between what is rendered and what is written."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Return the same, escaped when they are rendered."""
        return [_Escaped(renderable) for renderable in renderables]


class _Escaped:
    def __init__(self, inner: Any) -> None:  # noqa: ANN401
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for part in console.render(self._inner, options):
            yield part if part.control else Segment(printable(part.text), part.style)
