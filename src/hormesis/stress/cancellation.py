"""Where work that nobody waits for any more ends: between the steps of an attack.

A thread cannot be stopped from outside. It asks, wherever a long computation takes a step.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_asked = threading.local()


@contextmanager
def halting(check: Callable[[], None]) -> Iterator[None]:
    """Let ``check``, which raises when the work is to end, be called by this thread's steps.

    Example:
        >>> with halting(lambda: print("asked")):
        ...     step()
        asked
    """
    before = getattr(_asked, "check", None)
    _asked.check = check
    try:
        yield
    finally:
        _asked.check = before


def step() -> None:
    """Ask whether this thread's work is to end; outside ``halting`` it never is."""
    check = getattr(_asked, "check", None)
    if check is not None:
        check()
