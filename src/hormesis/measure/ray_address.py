"""A quick check that a Ray head is behind an address, before Ray waits for it.

Ray itself waits silently for minutes if something else listens at the address.
"""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

KNOCK = 5.0
"""Seconds that a head has to accept a connection, and again to answer."""

JOIN = 30.0
"""Seconds that a head has, after its answer, to let us join."""

# The first bytes of an HTTP/2 client, and the type of the frame that its server sends first.
# https://www.rfc-editor.org/rfc/rfc9113#section-3.4
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_HEADER = 9  # bytes of a frame's header, of which the fourth is its type
_SETTINGS = 4


def knock(address: str | None) -> None:
    """Check that a head may be behind an address: it must speak HTTP/2, as gRPC does.

    Args:
        address: ``HOST:PORT``; anything else is left to Ray.

    Raises:
        OSError: If nothing listens, nothing answers within ``KNOCK`` seconds, or something else
            answers.
    """
    host, colon, port = (address or os.environ.get("RAY_ADDRESS") or "").rpartition(":")
    if not (colon and port.isdecimal()) or "//" in host:
        return
    with socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK) as connection:
        if os.environ.get("RAY_USE_TLS", "0") != "0":
            return  # the first bytes are encrypted
        connection.sendall(_PREFACE)
        answer = _read_answer(connection)
    if len(answer) < _HEADER or answer[3] != _SETTINGS:
        raise ConnectionError("what answers there is no head of Ray")


def _read_answer(connection: socket.socket) -> bytes:
    """Return the first bytes of the answer, at most as many as the header of a frame."""
    answer, deadline = b"", time.monotonic() + KNOCK
    while len(answer) < _HEADER:
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            more = connection.recv(_HEADER - len(answer))
        except TimeoutError as error:
            raise TimeoutError("what listens there does not answer") from error
        if not more:
            break
        answer += more
    return answer


def run_with_timeout(seconds: float, join: Callable[[], object]) -> None:
    """Run a function that may never return on a thread, and stop waiting after some seconds.

    Args:
        seconds: How long to wait.
        join: The function.

    Raises:
        TimeoutError: If it takes longer.
        BaseException: What ``join`` raised.
    """
    raised = list[BaseException]()

    def run() -> None:
        try:
            join()
        except BaseException as error:  # raised again by the caller
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
    """Keep the handler of SIGTERM, which Ray replaces when it starts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
