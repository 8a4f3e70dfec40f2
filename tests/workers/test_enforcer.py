"""Orders for sessions whose worker is busy: which clients are cut off, what code is ended."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from shm import logs, orders
from shm.launch import LogOrder
from shm.orders import Wish
from shm.running import IDENTITY, Sight
from shm.segment import Segment
from shm.sessions import SessionTable
from shm.states import SlotState
from tests.helpers.torture import rounds
from workers.enforcer import BUSY_PAUSE, GRACE, IDLE_PAUSE, NO_SOCKET, Aim, Enforcer, shut_down

LATER = 2 * GRACE
SESSION = 128
"""Where the id of the running session is in the stage's memory, behind the pulse."""


@dataclass
class Stage:
    """Sessions on real sockets, a pulse that the test moves, the enforcer that looks at them."""

    segment: Segment
    table: SessionTable
    memory: bytearray = field(default_factory=lambda: bytearray(256))
    rung: int = 0
    now: float = 100.0
    clients: dict[int, socket.socket] = field(default_factory=dict)
    _ends: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        at = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        sight = Sight(at, at + SESSION, at, at)
        self.enforcer = Enforcer(self.segment, 0, sight, self._ring)

    def _ring(self) -> None:
        self.rung += 1

    def open(self, worker: int = 0) -> int:
        """A session that is LIVE; its id."""
        session = self.table.claim(b"127.0.0.1:1", worker, bytes(20))
        assert session is not None
        client, end = socket.socketpair()
        client.setblocking(False)
        self.clients[session] = client
        self._ends.append(end)
        slot = self.segment.slots[session % self.segment.capacity]
        slot.fd = end.fileno()
        slot.state = SlotState.LIVE
        return session

    def is_cut_off(self, session: int) -> bool:
        try:
            return self.clients[session].recv(1) == b""
        except BlockingIOError:
            return False

    def run(self, session: int, batch: float = 1.0, *, away: bool = False) -> None:
        """Let code of this session run, 0: none."""
        ctypes.c_double.from_buffer(self.memory).value = batch
        ctypes.c_double.from_buffer(self.memory, SESSION).value = session
        ctypes.c_int32.from_buffer(self.memory, 24 + 4 * away).value = 1 if session else 0

    def pulse(self) -> bytes:
        return bytes(self.memory[:IDENTITY])

    def look(self, after: float = 0.0) -> Aim | None:
        self.now += after
        return self.enforcer.look(self.now)

    def close(self) -> None:
        for each in (*self.clients.values(), *self._ends):
            each.close()


@pytest.fixture
def stage(segment_name: str) -> Iterator[Stage]:
    logs.configure(LogOrder(), "worker-0")
    segment = Segment.create(segment_name, capacity=32, workers=2)
    table = SessionTable(segment)
    made = Stage(segment, table)
    try:
        yield made
    finally:
        made.close()
        table.close()
        segment.close()


def kill(stage: Stage, *sessions: int) -> None:
    assert orders.place(stage.segment, sessions, Wish.KILL) == list(sessions)


def test_the_loop_is_woken_and_has_some_time(stage: Stage) -> None:
    one, other = stage.open(), stage.open(worker=1)
    assert stage.look() is None
    assert (stage.rung, stage.enforcer.pause) == (0, IDLE_PAUSE)
    kill(stage, one, other)
    stage.look()
    assert (stage.rung, stage.enforcer.pause) == (1, BUSY_PAUSE)
    stage.look(GRACE / 2)
    assert not stage.is_cut_off(one)
    stage.look(LATER)
    assert stage.is_cut_off(one)
    assert not stage.is_cut_off(other)
    assert orders.left(stage.segment, [one], Wish.KILL) == []
    assert stage.rung == 1


def test_what_the_loop_has_done_is_left_to_it(stage: Stage) -> None:
    one, other = stage.open(), stage.open()
    kill(stage, one)
    orders.place(stage.segment, [other], Wish.CANCEL)
    stage.look()
    for order in orders.waiting(stage.segment, 0):
        orders.done(stage.segment, order)
    stage.run(other)
    assert stage.look(LATER) is None
    assert not stage.is_cut_off(one)
    assert stage.enforcer.pause == IDLE_PAUSE


def test_code_of_one_that_was_cut_off_is_ended_until_the_loop_has_noticed(stage: Stage) -> None:
    one = stage.open()
    kill(stage, one)
    stage.run(one)
    assert stage.look() is None
    assert stage.look(LATER) == Aim(stage.pulse(), one, killed=True)
    assert stage.look(1) == Aim(stage.pulse(), one, killed=True)
    stage.run(one, batch=2)
    assert stage.look() == Aim(stage.pulse(), one, killed=True), "its next request"
    stage.segment.slots[one].fd = NO_SOCKET
    assert stage.look() is None
    stage.run(0)
    stage.look()
    assert stage.enforcer.pause == IDLE_PAUSE


def test_code_of_others_is_left_alone(stage: Stage) -> None:
    one, other = stage.open(), stage.open()
    kill(stage, one)
    stage.run(other)
    stage.look()
    assert stage.look(LATER) is None
    assert stage.is_cut_off(one)


def test_only_the_request_that_ran_is_cancelled(stage: Stage) -> None:
    one = stage.open()
    orders.place(stage.segment, [one], Wish.CANCEL)
    stage.run(one, away=True)
    stage.look()
    assert stage.look(LATER) == Aim(stage.pulse(), one, killed=False)
    assert stage.look(1) == Aim(stage.pulse(), one, killed=False)
    stage.run(one, batch=2)
    assert stage.look(1) is None
    assert not stage.is_cut_off(one)
    assert orders.left(stage.segment, [one], Wish.CANCEL) == [one], "what waits is the loop's"


def test_a_cancel_becomes_an_end(stage: Stage) -> None:
    one = stage.open()
    orders.place(stage.segment, [one], Wish.CANCEL)
    stage.look()
    kill(stage, one)
    stage.look()
    stage.look(LATER)
    assert stage.is_cut_off(one)
    stage.run(0)
    stage.segment.slots[one].fd = NO_SOCKET
    stage.look()
    assert stage.enforcer.pause == IDLE_PAUSE


def test_a_connection_that_is_on_the_way_is_waited_for(stage: Stage) -> None:
    one = stage.table.claim(b"127.0.0.1:1", 0, bytes(20))
    assert one is not None
    kill(stage, one)
    stage.look()
    stage.look(LATER)
    assert orders.left(stage.segment, [one], Wish.KILL) == [one]
    stage.table.release(one)
    stage.look()
    assert stage.enforcer.pause == IDLE_PAUSE


def test_who_has_left_needs_not_be_cut_off(stage: Stage) -> None:
    one = stage.open()
    kill(stage, one)
    stage.segment.slots[one].fd = NO_SOCKET
    stage.look()
    stage.look(LATER)
    assert orders.left(stage.segment, [one], Wish.KILL) == []
    assert not stage.is_cut_off(one)


def test_a_descriptor_that_has_become_another_sessions(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the slot and the copy of the descriptor."""
    one, other = stage.open(), stage.open()
    slots = stage.segment.slots
    dup = os.dup

    def slow_dup(fd: int) -> int:
        assert fd == slots[one].fd
        slots[one].fd = NO_SOCKET
        os.dup2(slots[other].fd, fd)
        return dup(fd)

    kill(stage, one)
    stage.look()
    monkeypatch.setattr(os, "dup", slow_dup)
    stage.look(LATER)
    assert not stage.is_cut_off(other)


@pytest.mark.parametrize("what", ["closed", "no socket"])
def test_a_descriptor_that_is_no_socket(stage: Stage, what: str) -> None:
    one = stage.open()
    reader, writer = os.pipe()
    stage.segment.slots[one].fd = reader if what == "no socket" else 1_000_000
    kill(stage, one)
    stage.look()
    stage.look(LATER)
    assert orders.left(stage.segment, [one], Wish.KILL) == []
    os.close(reader)
    os.close(writer)


def test_a_line_for_all_that_are_cut_off(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    sessions = [stage.open() for _ in range(12)]
    kill(stage, *sessions)
    stage.look()
    stage.look(LATER)
    (line,) = capfd.readouterr().err.splitlines()
    assert "cut off sessions that were to end while the loop is busy" in line
    assert "count=12" in line
    assert "sessions=1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ..." in line


def test_no_descriptors_are_left(stage: Stage) -> None:
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    sessions = [stage.open() for _ in range(5)]
    kill(stage, *sessions)
    stage.look()
    stage.look(LATER)
    assert len(os.listdir("/proc/self/fd")) == before + 10


def test_shutting_down_what_has_ended() -> None:
    one, other = socket.socketpair()
    other.close()
    with contextlib.suppress(OSError):
        shut_down(one.fileno())
    assert one.fileno() >= 0
    one.close()


LOOKS = 2000


def count_ended(sockets: list[socket.socket]) -> int:
    """How many of these connections have ended; closes all of them."""
    ended = 0
    for each in sockets:
        each.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            ended += each.recv(1) == b""
    for each in sockets:
        each.close()
    return ended


def test_sessions_that_come_and_go_meanwhile(stage: Stage) -> None:
    """A thread closes sockets, as the loop does, and their numbers become other connections'."""
    slots, capacity = stage.segment.slots, stage.segment.capacity
    over = threading.Event()
    turns, hit = 0, 0

    def churn() -> None:
        nonlocal turns, hit
        innocent: list[socket.socket] = []
        while not over.is_set():
            client, end = socket.socketpair()
            session = stage.table.claim(b"127.0.0.1:1", 0, bytes(20))
            assert session is not None
            slot = slots[session % capacity]
            slot.fd = end.fileno()
            slot.state = SlotState.LIVE
            orders.place(stage.segment, [session], Wish.KILL)
            slot.fd = NO_SOCKET
            end.close()
            innocent += socket.socketpair()
            client.close()
            slot.state = SlotState.CLOSING
            slot.id = 0
            slot.state = SlotState.FREE
            turns += 1
            if len(innocent) > 100:
                hit += count_ended(innocent)
                innocent = []
        hit += count_ended(innocent)

    thread = threading.Thread(target=churn)
    thread.start()
    for _ in rounds(0, lambda: turns > 0):
        for _ in range(LOOKS):
            stage.look(LATER)
    over.set()
    thread.join()
    assert turns > 0
    assert hit == 0
