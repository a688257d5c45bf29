"""Addresses that are no head of a cluster: a sentence within a bound, never a wait of minutes."""

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from hormesis.errors import StudyError
from hormesis.measure import ray_address, ray_pool
from hormesis.measure.ray_address import knock, run_with_timeout, same_signals
from hormesis.settings.execution import Execution

SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Let somebody listen on this machine, and yield the address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    there, _ = server.accept()
                except OSError:
                    return
                with there:
                    answer(there)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def says(*words: bytes) -> Callable[[socket.socket], None]:
    def answer(there: socket.socket) -> None:
        there.recv(1)
        for word in words:
            there.sendall(word)

    return answer


def silent(there: socket.socket) -> None:
    while there.recv(1024):
        pass


def test_a_head_answers_in_http_2():
    with listening(says(SETTINGS)) as address:
        knock(address)
    with listening(says(SETTINGS[:4], SETTINGS[4:])) as address:
        knock(address)


@pytest.mark.parametrize(
    "words",
    [
        [b"HTTP/1.1 400 Bad Request\r\n\r\n"],
        [b"SSH-2.0-OpenSSH_9.6\r\n"],
        [b"\x00"],
        [],
        [b"\x00" * 9],
    ],
)
def test_what_answers_otherwise_is_no_head(words):
    with (
        listening(says(*words)) as address,
        pytest.raises(StudyError, match=r"no Ray cluster at 127.*(no head of Ray|reset by peer)"),
        ray_pool.ray_connection(Execution(engine="ray", address=address)),
    ):
        pass


def test_who_accepts_and_is_silent_is_waited_for_as_long_as_is_said(monkeypatch):
    monkeypatch.setattr(ray_address, "KNOCK", 0.2)
    with (
        listening(silent) as address,
        pytest.raises(StudyError, match=r"at 127.*does not answer\): start one with `ray start"),
        ray_pool.ray_connection(Execution(engine="ray", address=address)),
    ):
        pass


def test_an_address_in_the_environment_is_asked_too(monkeypatch):
    with listening(says(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as address:
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(ConnectionError, match="no head of Ray"):
            knock(None)


def test_an_address_that_no_way_leads_to(monkeypatch):
    def unroutable(*_: object, **__: object) -> socket.socket:
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "create_connection", unroutable)
    with (
        pytest.raises(StudyError, match=r"at there:6379 that can be used \(timed out\)"),
        ray_pool.ray_connection(Execution(engine="ray", address="there:6379")),
    ):
        pass


@pytest.mark.parametrize("address", [None, "auto", "local", "ray://there:10001"])
def test_other_addresses_are_left_to_ray(address, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    knock(address)


def test_a_head_that_lets_nobody_join_is_given_up(monkeypatch):
    ended = threading.Event()
    monkeypatch.setattr(ray_pool, "JOIN", 0.05)
    monkeypatch.setattr(ray_pool.import_ray(), "init", lambda **_: ended.wait(60))
    with (
        listening(says(SETTINGS)) as address,
        pytest.raises(StudyError, match="its head answers, but lets nobody join"),
        ray_pool.ray_connection(Execution(engine="ray", address=address)),
    ):
        pass
    ended.set()


def test_what_joining_raises_is_raised_here():
    def refuse() -> None:
        raise ConnectionError("it is gone")

    with pytest.raises(ConnectionError, match="it is gone"):
        run_with_timeout(5.0, refuse)
    run_with_timeout(5.0, lambda: time.sleep(0))


def test_ray_does_not_keep_sigterm():
    before = signal.getsignal(signal.SIGTERM)
    with same_signals():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGTERM) is before
