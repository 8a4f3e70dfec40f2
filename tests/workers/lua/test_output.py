"""Sending: the queue of a session whose socket is full."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shm.states import EndReason
from tests.helpers.engine import Client, Engine
from tests.helpers.raw import EVAL, ping, request

PENDING_MAX = 1 << 20


def state_of(client: Client) -> tuple[int, ...]:
    """What waits, the queue's capacity, queued, stopped."""
    found = client.engine.execute(
        """
        local s = require('beespace.engine.sessions').all[...]
        local b = s.buffers
        local waiting = b ~= nil and b.output_len - b.output_at or 0
        return waiting, b ~= nil and b.output_cap or 0, s.queued, s.stopped
        """,
        client.fd,
    )
    return tuple(int(value) for value in found)


def answer_of(size: int) -> bytes:
    return request({0: EVAL, 1: 1}, {0x27: "return ('a'):rep(...)", 0x21: [size]})


def test_a_short_answer_needs_no_queue(client: Client) -> None:
    client.offer(ping(1))
    client.engine.run()

    assert state_of(client) == (0, 0, 0, 0)


def test_what_the_socket_does_not_take_waits(client: Client) -> None:
    client.offer(answer_of(600_000))
    client.engine.run()
    waiting, cap, writable, stopped = state_of(client)

    assert 0 < waiting <= 600_100
    assert cap < 2 * waiting
    assert (writable, stopped) == (1, 0)
    assert client.slot.pending_out == waiting
    client.read()
    assert len(client.packets()[0].data[0]) == 600_000
    assert state_of(client) == (0, 0, 0, 0)
    assert client.slot.pending_out == 0


def test_a_session_with_a_short_queue_is_still_served(client: Client) -> None:
    client.offer(answer_of(600_000))
    client.engine.run()
    client.offer(ping(2))
    client.engine.run()

    assert client.slot.requests == 2
    client.read()
    assert [answer.sync for answer in client.packets()] == [1, 2]


def test_too_much_waiting_stops_reading_until_half_is_drained(client: Client) -> None:
    client.offer(answer_of(3_000_000))
    client.engine.run()
    assert state_of(client)[2:] == (1, 1)
    client.offer(ping(2))
    client.engine.run()
    assert client.slot.requests == 1
    while client.slot.requests == 1:
        assert state_of(client)[0] >= PENDING_MAX / 2
        client.socket.recv(50_000)
        client.engine.run()
    assert state_of(client)[0] < PENDING_MAX / 2


@pytest.mark.parametrize("size", [5_000_000, 50_000_000])
def test_a_long_answer(client: Client, size: int) -> None:
    (answer,) = client.exchange(answer_of(size))

    assert len(answer.data[0]) == size
    assert state_of(client) == (0, 0, 0, 0)


def test_the_queue_is_compacted_before_it_grows(engine: Engine) -> None:
    with engine.connect() as client:
        for _ in range(30):
            client.offer(answer_of(300_000))
            engine.run()
            client.buffer += client.socket.recv(300_000)
            engine.run()
            assert state_of(client)[1] <= 4 * PENDING_MAX
        client.read()
        assert [len(answer.data[0]) for answer in client.packets()] == [300_000] * 30


def test_a_socket_that_broke_ends_the_session(engine: Engine) -> None:
    client = engine.connect()
    fd = client.fd
    client.socket.close()
    engine.execute("require('beespace.engine.output').flush(...)", fd, 10)

    assert not client.exists
    assert engine.row.sessions == 0
    engine.execute("require('beespace.engine.output').flush(...)", fd, 10)
    assert engine.run() == 0


def test_what_waits_goes_first(engine: Engine) -> None:
    """The socket has room again, but the queue was not drained yet."""
    with engine.connect() as client:
        client.offer(answer_of(600_000))
        engine.run()
        client.take()
        engine.execute(
            """
            local fd, bytes = ...
            local state = require('beespace.engine.state')
            require('ffi').copy(state.output, bytes, #bytes)
            require('beespace.engine.output').flush(fd, #bytes)
            """,
            client.fd,
            b"later",
        )
        client.read()

        assert client.buffer.endswith(b"aaalater")


# The limit of what waits --------------------------------------------------------------------------

LIMIT = 2 << 20
PUSHES = "for i = 1, ... do box.session.push(('x'):rep(100000)) end return 'done'"


@pytest.fixture
def limited() -> Iterator[Engine]:
    """An engine with a limit of 2 MB; what it says of closed sessions is in a global."""
    with Engine() as made:
        made.execute(
            """
            local output = require('beespace.engine.output')
            output.limit = ...
            said = ''
            output.overflowed = function(id, bytes) said = said .. id .. ' ' .. bytes .. ';' end
            """,
            LIMIT,
        )
        yield made


def said(engine: Engine) -> str:
    return bytes(engine.execute("return said")).decode()


def test_a_client_that_leaves_pushes_unread_is_closed(limited: Engine) -> None:
    client = limited.connect()
    number = client.id
    client.offer(request({0: EVAL, 1: 1}, {0x27: PUSHES, 0x21: [500]}))
    limited.run()

    assert not client.exists
    assert client.slot.reason == EndReason.LIMIT
    told, bytes_ = said(limited).rstrip(";").split()
    assert int(told) == number
    assert LIMIT < int(bytes_) < LIMIT + 110_000
    client.close()
    with limited.connect() as other:
        assert other.in_step()
        assert other.slot.reason == EndReason.NONE


def test_a_client_that_reads_gets_everything(limited: Engine) -> None:
    with limited.connect() as client:
        for _ in range(20):
            answers = client.exchange(request({0: EVAL, 1: 1}, {0x27: PUSHES, 0x21: [15]}))
            assert len(answers) == 16
    assert said(limited) == ""


def test_one_answer_may_be_longer_than_the_limit(limited: Engine) -> None:
    with limited.connect() as client:
        (answer,) = client.exchange(answer_of(5 * LIMIT))
        assert len(answer.data[0]) == 5 * LIMIT
        assert client.in_step()
    assert said(limited) == ""


def test_pipelined_answers_wait_for_the_client(limited: Engine) -> None:
    """The session is not read while they do: nothing is queued behind the limit."""
    with limited.connect() as client:
        client.offer(answer_of(5 * LIMIT) * 5)
        limited.run()
        client.read()
        assert [len(answer.data[0]) for answer in client.packets()] == [5 * LIMIT] * 5
    assert said(limited) == ""
