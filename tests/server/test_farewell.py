"""Refused connections get their answer in whole, and none stays for ever."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator

import pytest

from server import farewell
from server.farewell import Farewells

ANSWER = b"no" * 100


class Room:
    """A listener and the farewells said at it."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.farewells = Farewells(self.selector)
        self.listener = socket.create_server(("127.0.0.1", 0))

    def refuse(self, sent: bytes = b"", now: float = 0.0) -> socket.socket:
        client = socket.create_connection(self.listener.getsockname(), timeout=5)
        client.sendall(sent)
        accepted, _ = self.listener.accept()
        if sent:
            accepted.recv(1, socket.MSG_PEEK)
        self.farewells.say(accepted.detach(), ANSWER, now)
        return client

    def turn(self) -> None:
        for key, _ in self.selector.select(5):
            key.data()


@pytest.fixture
def room() -> Iterator[Room]:
    made = Room()
    yield made
    made.farewells.close()
    made.listener.close()
    made.selector.close()


def read_all(client: socket.socket) -> bytes:
    data = b""
    while chunk := client.recv(4096):
        data += chunk
    return data


def test_a_client_that_sent_data_gets_the_answer(room: Room) -> None:
    with room.refuse(b"x" * 200_000) as client:
        assert read_all(client) == ANSWER
    while room.farewells.deadline() is not None:
        room.turn()
    assert len(room.selector.get_map()) == 0


def test_a_client_that_stays_is_left_after_a_time(room: Room) -> None:
    with room.refuse(now=10.0) as client:
        assert room.farewells.deadline() == 10.0 + farewell.LINGER
        room.farewells.expire(10.0 + farewell.LINGER - 0.01)
        assert len(room.selector.get_map()) == 1
        room.farewells.expire(10.0 + farewell.LINGER)
        assert len(room.selector.get_map()) == 0
        assert room.farewells.deadline() is None
        assert read_all(client) == ANSWER


def test_the_oldest_makes_room(room: Room) -> None:
    room.farewells = Farewells(room.selector, 2)
    clients = [room.refuse(now=float(number)) for number in range(4)]
    assert len(room.selector.get_map()) == 2
    assert room.farewells.deadline() == 2.0 + farewell.LINGER
    for client in clients:
        assert read_all(client) == ANSWER
        client.close()


def test_a_client_that_is_gone(room: Room) -> None:
    client = socket.create_connection(room.listener.getsockname(), timeout=5)
    accepted, _ = room.listener.accept()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    room.farewells.say(accepted.detach(), ANSWER, 0.0)
    while room.farewells.deadline() is not None:
        room.turn()
    assert len(room.selector.get_map()) == 0
