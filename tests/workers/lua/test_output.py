"""Sending: the queue of a session whose socket is full."""

from __future__ import annotations

import pytest

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
