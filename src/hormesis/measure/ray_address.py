"""The head of a Ray cluster, asked whether it is one before Ray waits for it.

Ray itself waits minutes, without a word, for an address where somebody listens who is no head.
"""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

KNOCK = 5.0
"""Seconds in which a head has to accept a connection, and then as many again to answer it."""

JOIN = 30.0
"""Seconds in which a head that has answered has to let us join."""

# How a client of HTTP/2 begins, and the type of the frame that its server answers with first.
# https://www.rfc-editor.org/rfc/rfc9113#section-3.4
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_HEADER = 9  # bytes of a frame's header, of which the fourth is its type
_SETTINGS = 4


def knock(address: str | None) -> None:
    """Make sure that a head may be behind an address: it speaks HTTP/2, as gRPC does.

    Args:
        address: ``HOST:PORT``; anything else is left to Ray.

    Raises:
        OSError: If nobody is there, nobody answers within ``KNOCK`` seconds, or something else
            does.
    """
    host, colon, port = (address or os.environ.get("RAY_ADDRESS") or "").rpartition(":")
    if not (colon and port.isdecimal()) or "//" in host:
        return
    with socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK) as there:
        if os.environ.get("RAY_USE_TLS", "0") != "0":
            return  # what is said first is encrypted
        there.sendall(_PREFACE)
        answer = _answer(there)
    if len(answer) < _HEADER or answer[3] != _SETTINGS:
        raise ConnectionError("what answers there is no head of Ray")


def _answer(there: socket.socket) -> bytes:
    """Return the first bytes that come, as many as the header of a frame has, or fewer."""
    found, until = b"", time.monotonic() + KNOCK
    while len(found) < _HEADER:
        there.settimeout(max(until - time.monotonic(), 0.001))
        try:
            more = there.recv(_HEADER - len(found))
        except TimeoutError as error:
            raise TimeoutError("what listens there does not answer") from error
        if not more:
            break
        found += more
    return found


def run_with_timeout(seconds: float, join: Callable[[], object]) -> None:
    """Do what may never come back, on a thread of its own that nobody waits for any longer.

    Args:
        seconds: How long to wait.
        join: What to do.

    Raises:
        TimeoutError: If it takes longer.
        BaseException: What ``join`` raised.
    """
    raised = list[BaseException]()

    def run() -> None:
        try:
            join()
        except BaseException as error:  # told to whoever waits
            raised.append(error)

    thread = threading.Thread(target=run, name="hormesis-join", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError("its head answers, but lets nobody join")
    if raised:
        raise raised[0]


@contextmanager
def same_signals() -> Iterator[None]:
    """Leave SIGTERM to whom it belonged; Ray takes it over where it starts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
