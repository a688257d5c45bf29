"""Signals that ask the program to end: the first lets it clean up, a later one ends it at once."""

import _thread
import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

_ASKING = ("SIGINT", "SIGTERM", "SIGHUP")
_SOON = 0.02  # seconds until a signal that could not be heeded is sent again
_ONE = 1.0  # seconds in which several signals count as one: wrappers pass them on once more


class Signals:
    """The signals that ask this process to end.

    Ctrl-C, SIGTERM and SIGHUP raise ``KeyboardInterrupt``, once. Those that were ignored when the
    process was started, as by ``nohup``, are left alone.
    """

    def __init__(self) -> None:
        """Catch nothing yet."""
        self.number: int | None = None
        self._since = 0.0
        self._process = os.getpid()
        self._starting = False
        self._ended: int | None = None
        self._before: dict[int, Any] = {}
        self._hook = sys.unraisablehook

    @contextmanager
    def caught(self, *, to_the_end: bool = False) -> Iterator[None]:
        """Catch signals while the block runs.

        Args:
            to_the_end: Catch them until the process has ended. Before ``started`` is called, when
                nothing has been written yet, the first one ends it at once.
        """
        if self._before or threading.current_thread() is not threading.main_thread():
            yield  # they are caught already, or cannot be
            return
        self._process, self.number, self._ended = os.getpid(), None, None
        self._starting = to_the_end
        for name in _ASKING:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)
        self._hook, sys.unraisablehook = sys.unraisablehook, self._unraisable
        if to_the_end:
            atexit.register(self._ignore)  # what is registered first runs last
        try:
            yield
        finally:
            if not to_the_end:
                for number, handler in self._before.items():
                    signal.signal(number, handler)
                sys.unraisablehook = self._hook
                self._before.clear()

    def started(self) -> None:
        """Note that from now on there may be something to clean up."""
        self._starting = False

    def finish(self, code: int) -> None:
        """Note that all is done: a signal now ends the process with this exit code."""
        self._ended = code

    def code(self) -> int:
        """Return the exit code for the signal that came, as shells have it."""
        return 128 + (self.number or 0)

    def sentence(self) -> str:
        """Return the message for the signal."""
        name = signal.Signals(self.number or signal.SIGINT).name
        ending = "interrupted" if name == "SIGINT" else f"ended by {name}"
        return f"{ending}; run the same command again to go on."

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            self._in_a_copy(number)
        if self._ended is not None:
            os._exit(self._ended)
        now = time.monotonic()
        if self.number is None:
            self.number, self._since = number, now
            if self._starting:
                self._end_now()
            raise KeyboardInterrupt
        if now - self._since > _ONE:
            self._end_now()

    def _in_a_copy(self, number: int) -> None:
        """Handle a signal in a forked process as usual."""
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _end_now(self) -> None:
        """End without cleaning up; the next run finds the same as after a power cut."""
        with suppress(OSError):
            os.write(2, f"hormesis: {self.sentence()}\n".encode())
        os._exit(self.code())

    def _unraisable(self, unraisable: Any) -> None:  # noqa: ANN401
        """Interrupt again where Python cannot raise, such as while it removes an object."""
        if self.number is None or not issubclass(unraisable.exc_type, KeyboardInterrupt):
            self._hook(unraisable)
            return
        number, self.number = self.number, None
        again = threading.Timer(_SOON, _send, (number,))
        again.daemon = True
        again.start()

    def _ignore(self) -> None:
        """Ignore signals while Python shuts down, as it handles none then."""
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)


def _send(number: int) -> None:
    """Send this process a signal, from any thread."""
    if os.name == "posix":
        os.kill(os.getpid(), number)
    else:
        _thread.interrupt_main(number)  # Windows' `kill` ends the process at once


SIGNALS = Signals()
