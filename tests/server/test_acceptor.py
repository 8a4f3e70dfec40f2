"""The acceptor's loop: who gets in, who waits, who is refused; what of a dead worker is left."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from server import doors, refusal
from server.acceptor import LOOK
from server.gathering import GATHER, Gathering
from shm import channel, layout
from shm.segment import Segment
from shm.sessions import SessionTable
from shm.states import SessionType
from tests.helpers.wait import wait_until
from tests.server.stage import Stage, close_all, echo


def test_nothing_is_accepted_before_it_is_told(stage: Stage) -> None:
    stage.worker_up(0)
    stage.connect()
    stage.control.send({"op": "worker_down", "index": 5, "death": 7})
    assert stage.hear() == {"op": "worker_gone", "index": 5, "death": 7}
    assert stage.segment.header.claimed == 0
    stage.control.send({"op": "accept"})
    ids, fds = stage.taken(0)
    assert ids == [1]
    close_all(fds)


def test_peers_of_every_kind(stage: Stage, table: SessionTable, tmp_path: Path) -> None:
    stage.worker_up(0)
    stage.control.send({"op": "accept"})
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(str(tmp_path / "client"))
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0bee-test-{os.getpid()}")
    expected = []
    for door in (0, 1, 2):
        client = stage.connect(door)
        name = client.getsockname()
        host = name[0] if door == 0 else f"[{name[0]}]" if door == 1 else ""
        expected.append("unix/:(socket)" if door == 2 else f"{host}:{name[1]}")
        close_all(stage.taken(0)[1])
    for end in (bound, abstract):
        stage.clients.append(end)
        end.connect(stage.listeners[2].getsockname())
        close_all(stage.taken(0)[1])
    expected += [f"unix/:{tmp_path}/client", f"unix/:@bee-test-{os.getpid()}"]
    sessions = sorted(table.sessions(), key=lambda session: session.id)
    assert [session.peer for session in sessions] == expected
    assert [session.listener for session in sessions] == [0, 1, 2, 2, 2]


def test_the_descriptor_is_the_client(stage: Stage) -> None:
    stage.worker_up(0)
    stage.control.send({"op": "accept"})
    client = stage.connect()
    _, (fd,) = stage.taken(0)
    with socket.socket(fileno=fd) as end:
        end.sendall(b"hello")
        assert client.recv(10) == b"hello"


def test_connections_wait_for_a_worker(stage: Stage) -> None:
    stage.control.send({"op": "accept"})
    for _ in range(3):
        stage.connect()
    wait_until(lambda: stage.acceptor._waiting, what="a waiting connection")
    assert stage.segment.header.claimed == 0
    stage.worker_up(1)
    ids: list[int] = []
    while len(ids) < 3:
        more, fds = stage.taken(1)
        ids += more
        close_all(fds)
    assert ids == [1, 2, 3]


def test_who_comes_in_a_crowd_lets_the_loop_rest(stage: Stage) -> None:
    rests: list[float] = []
    stage.acceptor._gathering = Gathering(rests.append)
    stage.worker_up(0)
    for _ in range(3):
        stage.connect()
    stage.control.send({"op": "accept"})
    ids, fds = stage.taken(0)
    close_all(fds)
    assert ids == [1, 2, 3]
    wait_until(lambda: rests == [GATHER], what="a rest")
    stage.connect()
    close_all(stage.taken(0)[1])
    stage.control.send({"op": "worker_down", "index": 5, "death": 7})
    stage.hear()
    assert rests == [GATHER]


def test_after_worker_gone_nothing_is_claimed_for_it(stage: Stage, table: SessionTable) -> None:
    stage.worker_up(0)
    stage.worker_up(1)
    stage.control.send({"op": "accept"})
    stage.control.send({"op": "worker_down", "index": 0, "death": 1})
    assert stage.hear() == {"op": "worker_gone", "index": 0, "death": 1}
    for _ in range(4):
        stage.connect()
        close_all(stage.taken(1)[1])
    assert {session.worker for session in table.sessions()} == {1}
    assert stage.workers[0].recv(1) == b""


def test_a_full_table_is_answered(stage: Stage, table: SessionTable) -> None:
    stage.worker_up(0)
    for number in range(table.capacity):
        assert table.claim(b"", 0, bytes(20)) == number + 1
    stage.control.send({"op": "accept"})
    client = stage.connect()
    data = b""
    while chunk := client.recv(4096):
        data += chunk
    assert b"8 of 8 sessions are in use" in data
    assert stage.segment.header.refused == 1
    table.release(3)
    stage.connect()
    ids, fds = stage.taken(0)
    assert ids == [11]
    close_all(fds)


def test_a_console_is_claimed_and_refused_as_one(
    segment: Segment, table: SessionTable, tmp_path: Path
) -> None:
    segment.header.first_console = segment.header.consoles = 1
    ends = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    stage = Stage(segment, ends)
    stage.worker_up(0)
    stage.control.send({"op": "accept"})
    for door in (0, 1):
        stage.connect(door)
        close_all(stage.taken(0)[1])
    found = sorted((session.listener, session.type) for session in table.sessions())
    assert found == [(0, SessionType.BINARY), (1, SessionType.CONSOLE)]
    while table.claim(b"", 0, bytes(20)) is not None:
        pass
    assert stage.connect(0).recv(25) == b"Tarantool 2.11.0 (Binary)"
    data, client = b"", stage.connect(1)
    while chunk := client.recv(4096):
        data += chunk
    assert data == refusal.to_console(refusal.full_table(8))
    stage.close()


def test_out_of_descriptors_it_waits_and_goes_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.worker_up(0)
    door = stage.door(0)
    accept = door.accept
    calls = []

    def failing() -> tuple[int, Any]:
        calls.append(1)
        if len(calls) == 1:
            raise OSError(errno.EMFILE, "too many open files")
        return accept()

    door.accept = failing
    stage.control.send({"op": "accept"})
    stage.connect()
    ids, fds = stage.taken(0)
    assert ids == [1]
    assert stage.segment.header.accept_errors == 1
    turns = stage.segment.header.acceptor_turns
    assert turns < 20, "it turned in a circle"
    close_all(fds)


def test_it_ends_with_the_supervisor(segment: Segment) -> None:
    made = Stage(segment, [socket.create_server(("127.0.0.1", 0))])
    made.control.close()
    made.thread.join(10)
    assert not made.thread.is_alive()
    made.listeners[0].close()


def test_strangers_at_the_control_socket_are_closed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.door(2).private = True
    monkeypatch.setattr(doors, "user_of", lambda _fd: 12345)
    stage.worker_up(0)
    stage.control.send({"op": "accept"})
    stranger = stage.connect(2)
    assert stranger.recv(1) == b""
    monkeypatch.undo()
    stage.connect(2)
    ids, fds = stage.taken(0)
    assert ids == [1]
    close_all(fds)


def test_an_offer_comes_back_to_its_worker_as_a_session(stage: Stage, table: SessionTable) -> None:
    stage.worker_up(0)
    stage.worker_up(1)
    for number in (7, 8):
        client = stage.offer(1, number)
        ids, (fd,) = stage.taken(1)
        assert ids == [0, number - 6, number]
        with socket.socket(fileno=fd) as end:
            end.sendall(b"hello")
            assert client.recv(10) == b"hello"
    sessions = sorted(table.sessions(), key=lambda session: session.id)
    found = [(session.worker, session.listener, session.peer) for session in sessions]
    assert found == [(1, layout.ADOPTED, "unix/:(socket)")] * 2
    rows = stage.segment.rows
    wait_until(lambda: (rows[0].assigned, rows[1].assigned) == (0, 2), what="the count")


def test_an_offer_that_is_no_socket_has_no_address(stage: Stage, table: SessionTable) -> None:
    stage.worker_up(0)
    reader, writer = os.pipe()
    channel.send_fds(stage.workers[0], bytes([9, *bytes(7)]), [reader])
    ids, fds = stage.taken(0)
    assert ids == [0, 1, 9]
    assert table.peer(1) == ""
    close_all([reader, writer, *fds])


def test_an_offer_to_a_full_table_is_refused(stage: Stage, table: SessionTable) -> None:
    stage.worker_up(0)
    for _ in range(table.capacity):
        assert table.claim(b"p", 0, bytes(20))
    client = stage.offer(0, 1)
    greeting = client.recv(128)
    assert greeting.startswith(b"Tarantool ")
    assert b"session limit reached" in client.recv(1000)


def test_offers_wait_in_order_for_a_worker_that_does_not_read(stage: Stage) -> None:
    stage.worker_up(0)
    stage.worker_up(1)
    close_all(echo(stage, 0))
    full = next(iter(stage.acceptor._handover.workers()))
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            sent += full.intake.send(b"x" * 1000) // 1000
    for number in (1, 2, 3):
        stage.offer(0, number)
    wait_until(lambda: len(stage.acceptor._held) == 3, what="held offers")
    stage.control.send({"op": "accept"})
    stage.connect()
    close_all(stage.taken(1)[1])
    for _ in range(sent):
        assert len(stage.workers[0].recv(65536)) == 1000
    for number in (1, 2, 3):
        ids, fds = stage.taken(0)
        assert (ids[0], ids[2]) == (0, number)
        close_all(fds)


def test_what_a_dead_worker_offered_is_closed(stage: Stage) -> None:
    stage.worker_up(0)
    close_all(echo(stage, 0))
    full = next(iter(stage.acceptor._handover.workers()))
    with contextlib.suppress(BlockingIOError):
        while True:
            full.intake.send(b"x" * 1000)
    client = stage.offer(0, 1)
    wait_until(lambda: stage.acceptor._held, what="a held offer")
    stage.control.send({"op": "worker_down", "index": 0, "death": 1})
    assert stage.hear() == {"op": "worker_gone", "index": 0, "death": 1}
    assert client.recv(1) == b""
    assert stage.acceptor._held == []


def test_a_worker_that_ends_is_no_reason_to_turn_in_a_circle(stage: Stage) -> None:
    stage.worker_up(0)
    close_all(echo(stage, 0))
    stage.workers[0].close()
    turns, began = stage.segment.header.acceptor_turns, time.monotonic()
    time.sleep(0.3)
    looks = (time.monotonic() - began) / LOOK
    assert stage.segment.header.acceptor_turns - turns < 5 + looks


def test_a_worker_that_drains_is_spared(stage: Stage) -> None:
    for index in (0, 1):
        stage.worker_up(index)
    stage.control.send({"op": "accept"})
    stage.control.send({"op": "worker_drains", "index": 0, "death": 4})
    assert stage.hear() == {"op": "worker_spared", "index": 0, "death": 4}
    for expected in (1, 2):
        stage.connect()
        ids, fds = stage.taken(1)
        close_all(fds)
        assert ids == [expected]
    close_all(echo(stage, 0))
