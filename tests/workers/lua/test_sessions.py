"""The sessions of a worker: opening, closing, lingering."""

from __future__ import annotations

import gc
import os
import socket
import time
from collections.abc import Iterator

import pytest

from shm.layout import REASONS
from shm.states import EndReason, SlotState
from tests.helpers.engine import SALT, Client, Engine
from tests.helpers.raw import ping
from tests.helpers.requests import evaluation

SWEEP = "require('beespace.engine.sessions').sweep(...)"
NOW = "local sys = require('beespace.engine.sys') return sys.clock(sys.CLOCK_MONOTONIC)"


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, int]]:
    """A socket and the number of a descriptor connected with it, which the test gives away."""
    mine, other = socket.socketpair()
    yield mine, other.detach()
    mine.close()


def claim(engine: Engine) -> int:
    found = engine.table.claim(b"peer", 0, SALT)
    assert found is not None
    return found


def open_session(engine: Engine, session: int, fd: int) -> bool:
    source = "local id, fd = ... return require('beespace.engine.sessions').open(id, fd)"
    return bool(engine.execute(source, session, fd))


def close_session(engine: Engine, fd: int) -> None:
    engine.execute("require('beespace.engine.sessions').close(...)", fd)


def test_open_makes_a_claim_live(engine: Engine, pair: tuple[socket.socket, int]) -> None:
    _, fd = pair
    session = claim(engine)
    assert open_session(engine, session, fd)

    slot = engine.slot(session)
    assert (slot.state, slot.fd, engine.row.sessions) == (SlotState.LIVE, fd, 1)
    freed = engine.row.freed
    close_session(engine, fd)
    assert (slot.state, slot.id) == (SlotState.FREE, 0)
    assert (engine.row.sessions, engine.row.freed) == (0, freed + 1)
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)


def test_the_reasons_are_those_of_the_segment(engine: Engine) -> None:
    told = engine.execute(
        """
        local list = {}
        for name, number in pairs(require('beespace.engine.table').reason) do
          list[#list + 1] = name .. '=' .. number
        end
        return table.concat(list, ' ')"""
    )
    expected = {f"{one.name}={one.value}" for one in EndReason if one is not EndReason.NONE}
    assert set(told.decode().split()) == expected
    assert max(EndReason) < REASONS


def test_the_ends_are_counted_by_their_reasons(engine: Engine) -> None:
    source = "local sessions = require('beespace.engine.sessions') sessions.close(...)"
    before = list(engine.row.ended)
    for reason in (EndReason.IDLE, EndReason.IDLE, EndReason.MAX_AGE):
        with engine.connect() as client:
            engine.execute(source, client.fd, int(reason))
    with engine.connect():
        pass
    grown = [after - old for after, old in zip(engine.row.ended, before, strict=True)]

    assert {EndReason(reason): count for reason, count in enumerate(grown) if count} == {
        EndReason.IDLE: 2,
        EndReason.MAX_AGE: 1,
        EndReason.CLIENT: 1,
    }


def test_open_notes_the_time(engine: Engine) -> None:
    before = int(time.monotonic() * 100)
    with engine.connect() as client:
        assert before <= client.slot.opened <= int(time.monotonic() * 100)


def test_who_comes_over_the_control_socket_is_admin(
    engine: Engine, pair: tuple[socket.socket, int]
) -> None:
    _, fd = pair
    engine.segment.header.control_listener = 3
    session = engine.table.claim(b"unix/:(socket)", 0, SALT, 3)
    assert session is not None
    assert open_session(engine, session, fd)
    assert engine.slot(session).uid == 1
    ask = "local t = require('beespace.engine.table') return t.of_control(t.slots[...])"
    assert engine.execute(ask, session % engine.segment.capacity)
    with engine.connect() as client:
        assert client.slot.uid == 0
        assert not engine.execute(ask, client.id % engine.segment.capacity)
    close_session(engine, fd)


def test_open_refuses_what_is_not_claimed(engine: Engine, pair: tuple[socket.socket, int]) -> None:
    _, fd = pair
    session = claim(engine)
    assert not open_session(engine, session + engine.segment.capacity, fd)
    assert open_session(engine, session, fd)
    assert not open_session(engine, session, fd)
    close_session(engine, fd)
    assert not open_session(engine, session, fd)


def test_closing_twice_is_closing_once(engine: Engine, pair: tuple[socket.socket, int]) -> None:
    _, fd = pair
    open_session(engine, claim(engine), fd)
    freed = engine.row.freed
    close_session(engine, fd)
    close_session(engine, fd)

    assert engine.row.freed == freed + 1


def test_a_slot_is_free_before_it_counts_as_free(engine: Engine) -> None:
    """Or the acceptor would let one more in than there may be."""
    engine.execute(
        """
        local shared = require('beespace.engine.table')
        local locks = require('beespace.engine.locks')
        local unlock, lock = locks.unlock, locks.lock
        seen = {}
        locks.lock = function(...)
          seen[#seen + 1] = tonumber(shared.row.freed)
          return lock(...)
        end
        locks.unlock = function(...)
          seen[#seen + 1] = tonumber(shared.row.freed)
          return unlock(...)
        end
        restore = function() locks.lock, locks.unlock = lock, unlock end"""
    )
    freed = int(engine.row.freed)
    engine.connect().close()
    engine.execute("restore()")
    # Under the lock of the inboxes, which the slot is freed under as well.
    assert list(engine.execute("return unpack(seen, #seen - 1)")) == [freed, freed + 1]


def test_the_session_exists_until_its_end_hooks_returned(engine: Engine) -> None:
    client = engine.connect()
    client.eval("box.session.storage.kept = 1")
    storage = "return getmetatable(box.session).aggregate_storage[...] ~= nil"
    assert engine.execute(storage, client.id)
    client.close()
    assert not engine.execute(storage, client.id)


def linger(client: Client) -> None:
    client.exchange(b"\xff")
    assert client.ended, "our direction has to end at once"


def kept_sockets(engine: Engine) -> int:
    """Sockets whose sessions have ended."""
    count = """
        local sessions, count = require('beespace.engine.sessions'), 0
        for fd = 0, 4095 do count = count + (sessions.has_remains(fd) and 1 or 0) end
        return count"""
    return int(engine.execute(count))


def test_a_session_ends_when_its_last_answer_is_sent(engine: Engine) -> None:
    client = engine.connect()
    linger(client)

    assert not client.exists
    assert kept_sockets(engine) == 1
    client.close()
    assert kept_sockets(engine) == 0


def test_what_comes_afterwards_is_thrown_away_and_resets_nothing(engine: Engine) -> None:
    client = engine.connect()
    client.send(b"\xff" + ping(1) * 1000)
    requests = engine.row.requests
    client.offer(ping(1) * 1000)
    engine.run()

    assert engine.row.requests == requests
    assert client.buffer, "the reason is there to be read"
    assert client.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    client.close()
    assert kept_sockets(engine) == 0


def test_a_socket_is_kept_for_its_time_only(engine: Engine) -> None:
    client = engine.connect()
    linger(client)
    now = engine.execute(NOW)
    kept = []
    for later in (0, 1.1):
        engine.execute(SWEEP, now + later)
        kept.append(kept_sockets(engine))

    assert kept == [1, 0]
    client.close()


def test_a_new_session_gets_another_descriptor_than_a_kept_socket(engine: Engine) -> None:
    old = engine.connect()
    fd = old.fd
    linger(old)
    new = engine.connect()
    assert new.fd != fd
    engine.execute(SWEEP, engine.execute(NOW) + 100)

    assert new.in_step()
    old.close()
    new.close()


@pytest.mark.parametrize(("reason", "seconds"), [("ERROR", 10.1), ("CREDENTIALS", 0.5)])
def test_a_client_that_does_not_read_is_given_some_time(
    engine: Engine, reason: str, seconds: float
) -> None:
    client = engine.connect(buffer=4096)
    client.offer(evaluation(1, "return ('x'):rep(3e6)"))
    engine.run()
    linger_for = """
        local shared = require('beespace.engine.table')
        require('beespace.engine.sessions').linger(..., shared.reason[select(2, ...)])"""
    engine.execute(linger_for, client.fd, reason.encode())
    now = engine.execute(NOW)
    there = []
    for later in (0, seconds - 0.2, seconds):
        engine.execute(SWEEP, now + later)
        there.append(client.exists)

    assert there == [True, True, False]
    client.close()


def test_close_all_ends_every_session() -> None:
    with Engine(warm=False) as engine:
        clients = [engine.connect() for _ in range(5)]
        engine.execute("require('beespace.engine.sessions').close_all()")

        assert engine.row.sessions == 0
        assert not any(client.exists for client in clients)
        for client in clients:
            client.take()
            assert client.ended
            client.close()


def test_descriptors_are_not_leaked(engine: Engine) -> None:
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(200):
        with engine.connect() as client:
            client.offer(ping(1))
    assert len(os.listdir("/proc/self/fd")) == before


def test_descriptors_are_accounted_for(engine: Engine, pair: tuple[socket.socket, int]) -> None:
    publish = "require('beespace.engine.sessions').publish_own_fds(...)"
    mine, fd = pair
    session = claim(engine)
    assert open_session(engine, session, fd)
    engine.execute(publish, 30)
    assert (engine.row.kept, engine.row.own_fds) == (0, 29)
    freed = engine.row.freed
    engine.execute("require('beespace.engine.sessions').end_output(...)", fd)
    assert (engine.row.kept, engine.row.freed) == (1, freed + 1)
    engine.execute(publish, 30)
    assert engine.row.own_fds == 29
    mine.close()
    engine.execute("require('beespace.engine.sessions').bury(...)", fd)
    engine.execute(publish, 29)
    assert (engine.row.kept, engine.row.own_fds) == (0, 29)
