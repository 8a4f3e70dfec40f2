"""Doors that open and close together."""

from __future__ import annotations

import selectors
import socket

from server.doors import Door
from server.lanes import Lane


def test_open_closed_and_paused() -> None:
    heard: list[int] = []
    with selectors.DefaultSelector() as selector, socket.create_server(("127.0.0.1", 0)) as end:
        lane = Lane(selector, [Door(3, end, private=False)], lambda door: heard.append(door.number))

        def is_open() -> bool:
            return len(selector.get_map()) == 1

        lane.set(False)
        assert not is_open()
        lane.set(True)
        lane.set(True)
        assert is_open()
        with socket.create_connection(end.getsockname()):
            for key, _ in selector.select(5):
                key.data()
        assert heard == [3]
        lane.pause(10.0)
        lane.pause(5.0)
        lane.set(True)
        assert not is_open()
        lane.expire(9.0)
        lane.set(True)
        assert not is_open()
        lane.expire(10.0)
        lane.set(True)
        assert is_open()
        lane.set(False)
        assert not is_open()
