"""A connection that keeps its own record: every request, every answer, and how it ended.

Visits (:mod:`tests.soak.visits`) and faults make guests through :class:`Host`, whose records are
what is compared with the server's figures later. Who is sent away without having done anything, or
gets no answer, raises :class:`GoneError`, and the record says what it was at.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from tests.helpers.raw import (
    AUTH,
    CALL,
    EVAL,
    PING,
    Address,
    ClosedError,
    Packet,
    Raw,
    request,
    scramble,
)
from tests.helpers.text_console import TextConsole
from tests.soak.record import Record

PATIENCE: Final = 30.0
"""Seconds for an answer: a worker that is stopped is replaced long before."""
CHUNK: Final = 0x80
EVENT: Final = 76
RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER: closing resets the connection."""


class GoneError(Exception):
    """The visit cannot go on; the record of the guest says why."""


class Host:
    """Makes the guests of one visit and keeps their records."""

    def __init__(self, kind: str, address: Address, console: str) -> None:
        self.kind = kind
        self.address = address
        self.console = console
        self.records: list[Record] = []
        self._guests: list[Guest] = []

    def guest(self, **options: Any) -> Guest:
        """A client that was greeted; ``options`` as for :class:`Raw`."""
        guest = self.stranger(**options)
        guest.be_greeted()
        return guest

    def stranger(self, **options: Any) -> Guest:
        """A client that is connected and has read nothing."""
        return self._welcome(lambda: Raw(self.address, PATIENCE, greet=False, **options))

    def called(self, ear: socket.socket) -> Guest:
        """A client that the server connects to; nothing was read."""
        return self._welcome(lambda: _Answered(ear.accept()[0]))

    def operator(self) -> Guest:
        """A client of the console that was greeted."""
        guest = self._welcome(lambda: TextConsole(self.console, PATIENCE, greet=False))
        guest.be_greeted()
        return guest

    def _welcome(self, connect: Callable[[], Raw]) -> Guest:
        record = Record(self.kind, time.monotonic())
        self.records.append(record)
        guest = Guest(record)
        self._guests.append(guest)
        guest.connect(connect)
        return guest

    def close(self) -> None:
        """Everybody leaves."""
        for guest in self._guests:
            guest.leave()


class Guest:
    """One client."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.raw: Any = None

    def connect(self, how: Callable[[], Raw]) -> None:
        with self.at("connecting"):
            self.raw = how()
        self.record.connected = True
        if self.raw.socket.family == socket.AF_INET:
            self.record.peer = self.raw.name

    def be_greeted(self) -> None:
        with self.at("greeting"):
            self.raw.greeting = self.raw.take(128)
        self.record.greeted = True

    def settle(self) -> None:
        """Ask for session and worker."""
        self.record.session, self.record.pid = self.call("whereami")

    def log_in(self, name: str, password: str) -> None:
        proof = scramble(self.raw.salt, password)
        self.ask(AUTH, {0x23: name, 0x21: ["chap-sha1", proof]})

    def call(self, name: str, *arguments: object) -> list[Any]:
        return list(self.ask(CALL, {0x22: name, 0x21: list(arguments)}).data)

    def eval(self, source: str, *arguments: object) -> list[Any]:
        return list(self.ask(EVAL, {0x27: source, 0x21: list(arguments)}).data)

    def ping(self) -> None:
        self.expect(self.ask(PING).type == 0, "ping")

    def ask(self, kind: int, body: object | None = None, *, pushes: int = 0) -> Packet:
        """The answer to a request, behind so many pushes; GoneError when it is an error."""
        answer = self.answer(self.send(kind, body), kind, pushes=pushes)
        self.expect(not answer.is_error, f"error {answer.code}: {answer.text}")
        return answer

    def send(self, kind: int, body: object | None = None) -> int:
        """Send a request; its sync."""
        sync: int = self.raw.next_sync()
        self.record.sent += 1
        with self.at(f"sending {kind}"):
            self.raw.send(request({0: kind, 1: sync}, body))
        return sync

    def answer(self, sync: int, kind: int, *, pushes: int = 0) -> Packet:
        """The next packet that is no push, which must answer ``sync``."""
        with self.at(f"waiting for {kind}"):
            for _ in range(pushes):
                self.expect(self.raw.packet().type == CHUNK, "a push")
            packet: Packet = self.raw.packet()
        self.expect(packet.sync == sync, f"answer to {packet.sync}, not {sync}")
        self.took(packet)
        return packet

    def took(self, packet: Packet) -> None:
        """Count an answer."""
        self.record.answered += 1
        self.record.refused += packet.is_error

    def say(self, statement: str) -> Any:
        """Values of a console's statement."""
        self.record.sent += 1
        with self.at("a statement"):
            values = self.raw.values(statement)
        self.record.answered += 1
        return values

    def expect(self, holds: bool, what: str) -> None:
        """Note a failure and end the visit unless something holds."""
        if not holds:
            self.record.failed.append(what)
            raise GoneError(what)

    def await_end(self, what: str) -> None:
        """Read whatever comes until the server ends the connection, which it is to do."""
        self.raw.socket.settimeout(PATIENCE)
        try:
            while self.raw.socket.recv(1 << 16):
                pass
        except ConnectionError:
            return
        except TimeoutError:
            self.expect(False, f"{what}: the server did not end it")

    def reset(self) -> None:
        """Leave so that the server sees a broken connection."""
        with contextlib.suppress(OSError):
            self.raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.leave()

    def leave(self) -> None:
        if self.raw is not None:
            self.raw.close()
        self.record.ended = self.record.ended or time.monotonic()

    @contextlib.contextmanager
    def at(self, what: str) -> Iterator[None]:
        """Whatever happens to the connection meanwhile is noted down."""
        try:
            yield
        except (ClosedError, ConnectionError) as error:
            self.record.ended = time.monotonic()
            if what == "connecting":
                self.record.failed.append(f"{what}: {error}")
            else:
                self.record.cut = what
            raise GoneError(what) from error
        except (TimeoutError, AssertionError, BlockingIOError) as error:
            self.record.ended = time.monotonic()
            self.record.failed.append(f"{what}: {type(error).__name__}: {error}")
            raise GoneError(what) from error


class _Answered(Raw):
    """A client that was called by the server instead of calling it."""

    def __init__(self, end: socket.socket) -> None:
        self.deadline = PATIENCE
        self._buffer = bytearray()
        self._sync = 0
        self.socket = end
        self.greeting = b""
