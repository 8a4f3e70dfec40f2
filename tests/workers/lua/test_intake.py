"""New connections from the acceptor's channel."""

from __future__ import annotations

import base64
import socket
import struct

import pytest

from shm import channel
from shm.states import SlotState
from tests.helpers.engine import SALT, Engine
from tests.helpers.raw import GREETING_SIZE, ping


def pairs(count: int) -> tuple[list[socket.socket], list[socket.socket]]:
    made = [socket.socketpair() for _ in range(count)]
    for mine, _ in made:
        mine.settimeout(5)
    return [mine for mine, _ in made], [other for _, other in made]


@pytest.mark.parametrize("count", [1, 2, 3, 60, 253])
def test_a_batch(count: int) -> None:
    with Engine(capacity=512) as engine:
        mine, others = pairs(count)
        ids = [engine.table.claim(b"peer", 0, SALT) for _ in range(count)]
        engine.hand_over(ids[0] or 0, *(other.fileno() for other in others))
        for other in others:
            other.close()
        engine.run()

        assert engine.row.sessions == count
        for number, client in zip(ids, mine, strict=True):
            greeting = client.recv(1000)
            assert len(greeting) == GREETING_SIZE
            assert engine.slot(number or 0).state == SlotState.LIVE
            client.close()
        engine.run()
        assert engine.row.sessions == 0
        assert engine.row.freed == count


def test_the_greeting_has_the_salt_of_the_slot(engine: Engine) -> None:
    with engine.connect() as client:
        assert base64.b64decode(client.greeting[64:108])[:20] == SALT


def test_requests_sent_before_the_greeting_are_answered_after_it(engine: Engine) -> None:
    client = engine.connect(greet=False)
    client.offer(ping(1))
    client.read()
    greeting = client.buffer[:GREETING_SIZE]
    del client.buffer[:GREETING_SIZE]

    assert greeting.startswith(b"Tarantool ")
    assert [answer.sync for answer in client.packets()] == [1]
    client.close()


def test_a_client_that_went_before_it_was_opened(engine: Engine) -> None:
    client = engine.connect(greet=False)
    client.socket.close()
    engine.run()

    assert not client.exists
    assert engine.row.sessions == 0


def test_a_claim_that_is_gone_closes_its_connection(engine: Engine) -> None:
    mine, (other,) = pairs(1)
    session = engine.table.claim(b"peer", 0, SALT)
    assert session is not None
    engine.table.release(session)
    engine.hand_over(session, other.fileno())
    other.close()
    engine.run()

    assert mine[0].recv(10) == b""
    assert engine.row.sessions == 0
    mine[0].close()


def test_claims_whose_descriptors_were_dropped_are_given_up() -> None:
    with Engine() as engine:
        mine, others = pairs(1)
        ids = [engine.table.claim(b"peer", 0, SALT) or 0 for _ in range(3)]
        channel.send_fds(engine.acceptor, channel.pack_ids(ids), [others[0].fileno()])
        engine.run()

        assert [engine.table.exists(number) for number in ids] == [True, False, False]
        assert (engine.row.sessions, engine.row.freed, engine.table.live()) == (1, 2, 1)
        for end in mine + others:
            end.close()


def test_a_message_without_descriptors_opens_nothing(engine: Engine) -> None:
    session = engine.table.claim(b"peer", 0, SALT)
    assert session is not None
    engine.acceptor.send(struct.pack("<Q", session))
    engine.run()

    assert engine.row.sessions == 0
    assert engine.slot(session).state == SlotState.FREE
    with engine.connect() as client:
        assert client.in_step()
