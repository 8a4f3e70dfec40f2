"""The acceptor's limits: sessions of one address, new connections a second."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import time

from shm.segment import Segment
from shm.sessions import SessionTable
from tests.helpers.wait import wait_until
from tests.server.stage import Stage, close_all, echo, everything, settings


def test_an_address_has_its_limit(stage: Stage, table: SessionTable) -> None:
    stage.worker_up(0)
    stage.control.send({"op": "accept"})
    settings(stage, {"session.limits.per_address": 2, "session.idle_timeout": 1})
    fds = []
    for _ in range(2):
        stage.connect()
        fds += stage.taken(0)[1]
    text = b"session limit of the address reached: 2 of 2 sessions are in use"
    assert text in everything(stage.connect())
    assert text in everything(stage.connect())
    assert (stage.segment.header.refused_address, stage.segment.header.refused) == (2, 0)
    for door in (1, 2):
        # Another address, and none.
        stage.connect(door)
        fds += stage.taken(0)[1]
    newest = max(session.id for session in table.sessions() if session.listener == 0)
    table.release(newest)
    stage.connect()
    fds += stage.taken(0)[1]
    assert text in everything(stage.connect())
    settings(stage, {"session.limits.per_address": 0})
    stage.connect()
    fds += stage.taken(0)[1]
    close_all(fds)


def test_a_new_acceptor_counts_what_is_there(segment: Segment, table: SessionTable) -> None:
    for _ in range(2):
        assert table.claim(b"127.0.0.1:1", 0, bytes(20))
    values = {"session.limits.per_address": 2}
    stage = Stage(segment, [socket.create_server(("127.0.0.1", 0))], values)
    stage.worker_up(0)
    stage.control.send({"op": "accept"})
    assert b"session limit of the address reached" in everything(stage.connect())
    stage.close()


def crowd(stage: Stage, table: SessionTable) -> tuple[list[float], list[int]]:
    """Five guests, and a console behind the second one: when guests came in, and all listeners."""
    for rate in (0, 2):
        settings(stage, {"session.limits.accept_rate": rate})
    waits, turns = stage.segment.header.rate_waits, stage.segment.header.acceptor_turns
    began = time.monotonic()
    for _ in range(5):
        stage.connect()
    came: list[float] = []
    order: list[int] = []
    while len(order) < 6:
        ids, fds = stage.taken(0)
        close_all(fds)
        known = {session.id: session.listener for session in table.sessions()}
        order += [known[number] for number in ids]
        came += [time.monotonic() - began for number in ids if known[number] == 0]
        if len(order) == 2:
            stage.connect(1)
    assert 1 <= stage.segment.header.rate_waits - waits <= 4
    assert stage.segment.header.acceptor_turns - turns < 40, "it turned in a circle"
    for session in list(table.sessions()):
        table.release(session.id)
    return came, order


def test_what_comes_too_fast_waits(segment: Segment, table: SessionTable) -> None:
    segment.header.first_console = segment.header.consoles = 1
    ends = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    stage = Stage(segment, ends)
    stage.worker_up(0)
    stage.control.send({"op": "accept"})
    found = []
    for _ in range(5):
        came, order = crowd(stage, table)
        found.append((came, order))
        # Two at once, then one each half second; never earlier, but later on a busy machine.
        assert came[4] > 1.2
        if came[1] < 0.4 and came[4] < 4 and order == [0, 0, 1, 0, 0, 0]:
            break
    else:
        raise AssertionError(f"guests were late, or a console waited: {found}")
    stage.close()


def listeners(table: SessionTable) -> list[int]:
    return [one.listener for one in table.sessions()]


def test_without_a_descriptor_the_staff_still_comes_in(
    segment: Segment, table: SessionTable
) -> None:
    segment.header.control_listener = 1
    ends = [socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)]
    ends[1].bind(f"\0bee-test-{os.getpid()}")
    ends[1].listen()
    stage = Stage(segment, ends)
    stage.worker_up(0)
    stage.control.send({"op": "accept"})
    close_all(echo(stage, 0))
    stage.clients += [socket.socket(), socket.socket(socket.AF_UNIX)]
    guest, staff = stage.clients[-2:]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    filling: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                filling.append(os.dup(0))
        guest.connect(ends[0].getsockname())
        wait_until(lambda: segment.header.accept_errors, what="a failed accept")
        staff.connect(ends[1].getsockname())
        wait_until(lambda: 1 in listeners(table), what="a session of the staff")
        turns = segment.header.acceptor_turns
    finally:
        close_all(filling)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    wait_until(lambda: len(list(table.sessions())) == 3, what="a session of the guest")
    assert {0, 1} < set(listeners(table))
    assert segment.header.acceptor_turns - turns < 20, "it turned in a circle"
    stage.close()
