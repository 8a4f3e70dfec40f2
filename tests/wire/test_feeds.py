"""The feeds themselves: each finds the kind of server it is there for.

The servers are threads on a socket pair that answer PINGs, each wrong in one way.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.helpers.feeds import FEEDS, Message
from tests.helpers.raw import ClosedError, Raw, pack, ping

PING_SIZE = len(ping(1))
Behaviour = Callable[[bytes], tuple[int, int]]
"""Bytes received and not used -> bytes to use up, answers to send."""


def right(data: bytes) -> tuple[int, int]:
    """A server that answers whole packets and keeps the rest."""
    count = sum(1 for _ in _whole(data))
    return sum(len(packet) for packet in _whole(data)), count


def hasty(data: bytes) -> tuple[int, int]:
    """Answers when a packet begins."""
    used, answers = right(data + bytes(PING_SIZE)) if data else (0, 0)
    return min(used, len(data)), answers


def forgetful(data: bytes) -> tuple[int, int]:
    """Drops what comes behind a whole packet."""
    used, answers = right(data)
    return (len(data) if used else 0), answers


def talkative(data: bytes) -> tuple[int, int]:
    """Answers every packet twice."""
    used, answers = right(data)
    return used, 2 * answers


def _whole(data: bytes) -> Iterator[bytes]:
    while len(data) >= 5 and len(data) >= (size := 5 + int.from_bytes(data[1:5], "big")):
        yield data[:size]
        data = data[size:]


class Fake:
    """A server of one connection."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.seen = threading.Semaphore(0)
        listener = socket.create_server(("127.0.0.1", 0))
        self.address = listener.getsockname()
        self.thread = threading.Thread(target=self._serve, args=(listener,), daemon=True)
        self.thread.start()

    def barrier(self) -> None:
        """Returns when the thread has handled what came."""
        assert self.seen.acquire(timeout=5)

    def _serve(self, listener: socket.socket) -> None:
        with listener, contextlib.suppress(OSError):
            end, _ = listener.accept()
            with end:
                end.sendall(b"Tarantool".ljust(128))
                data = b""
                while more := end.recv(4096):
                    data += more
                    syncs = [packet[-1] for packet in _whole(data)] or [1]
                    used, answers = self.behaviour(data)
                    for number in range(answers):
                        end.sendall(_answer(data, syncs[number % len(syncs)]))
                    data = data[used:]
                    self.seen.release()


def _answer(data: bytes, last: int) -> bytes:
    sync = 0xBEE5 if last == 0xE5 else 1
    payload = pack({0: 0, 1: sync, 5: 1}) + b"\x80"
    return b"\xce" + len(payload).to_bytes(4, "big") + payload


@pytest.mark.parametrize("feed", FEEDS)
def test_a_right_server_passes(feed: str) -> None:
    fake = Fake(right)
    with Raw(fake.address, deadline=5) as client:
        answers = FEEDS[feed](client, Message(ping(1), 1), fake.barrier)
    assert [answer.sync for answer in answers] == [1]


def test_bytewise_finds_an_early_answer() -> None:
    fake = Fake(hasty)
    with Raw(fake.address, deadline=5) as client, pytest.raises(AssertionError, match="answered"):
        FEEDS["bytewise"](client, Message(ping(1), 1), fake.barrier)


@pytest.mark.parametrize("feed", ["attached-2", "attached-7"])
def test_attached_finds_a_lost_start(feed: str) -> None:
    fake = Fake(forgetful)
    with Raw(fake.address, deadline=0.3) as client, pytest.raises((TimeoutError, ClosedError)):
        FEEDS[feed](client, Message(ping(1), 1), fake.barrier)


@pytest.mark.parametrize("feed", FEEDS)
def test_every_feed_finds_an_answer_too_many(feed: str) -> None:
    fake = Fake(talkative)
    with Raw(fake.address, deadline=5) as client, pytest.raises(AssertionError):
        FEEDS[feed](client, Message(ping(1), 1), fake.barrier)


@pytest.mark.parametrize("feed", FEEDS)
def test_every_feed_finds_a_connection_that_stays_open(feed: str) -> None:
    fake = Fake(right)
    with Raw(fake.address, deadline=0.3) as client, pytest.raises((TimeoutError, AssertionError)):
        FEEDS[feed](client, Message(ping(1), 1, closes=True), fake.barrier)
