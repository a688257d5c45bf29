"""Cancellation: work that nobody waits for any more ends between the steps of an attack.

A thread cannot be stopped from outside, so it checks at each step of a long computation.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_thread = threading.local()


@contextmanager
def halting(check: Callable[[], None]) -> Iterator[None]:
    """Call ``check`` at every ``step`` of this thread; it raises when the work has to end.

    Example:
        >>> with halting(lambda: print("asked")):
        ...     step()
        asked
    """
    before = getattr(_thread, "check", None)
    _thread.check = check
    try:
        yield
    finally:
        _thread.check = before


def step() -> None:
    """Raise if this thread's work has to end; outside ``halting`` it never has to."""
    check = getattr(_thread, "check", None)
    if check is not None:
        check()
