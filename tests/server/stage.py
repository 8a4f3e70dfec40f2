"""The acceptor's loop in a thread of this process, with hand-made workers and supervisor.

The fixture ``stage`` of the folder's conftest.py makes one with three listeners; tests that need
others make their own.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Mapping
from typing import Any

from server.acceptor import Acceptor
from server.doors import Door
from shm import channel
from shm.channel import Channel, ChannelClosedError
from shm.launch import AcceptorOrder
from shm.segment import Segment
from tests.helpers.wait import wait_until


class Stage:
    """A running acceptor, seen as the supervisor and the workers see it."""

    def __init__(
        self,
        segment: Segment,
        listeners: list[socket.socket],
        values: Mapping[str, Any] | None = None,
        proxied: frozenset[int] = frozenset(),
    ) -> None:
        ours, theirs = channel.pair()
        self.control = Channel(ours)
        self.listeners = listeners
        self.segment = segment
        self.workers: dict[int, socket.socket] = {}
        self.clients: list[socket.socket] = []
        order = AcceptorOrder(
            "bee",
            "0",
            segment.name,
            theirs,
            tuple(listeners),
            settings=values or {},
            proxied=proxied,
        )
        # A mapping of its own, as in its own process: nobody closes it under the acceptor's views.
        self.acceptor = Acceptor(order, Segment.attach(segment.name))
        self.thread = threading.Thread(target=self.acceptor.run)
        self.thread.start()
        assert self.hear() == {"op": "ready"}

    def door(self, number: int) -> Door:
        return self.acceptor._doors[number]

    def hear(self) -> dict[str, Any]:
        received = wait_until(self.control.receive, what="word of the acceptor")
        assert received is not None
        return received[0]

    def worker_up(self, index: int) -> None:
        ours, theirs = channel.pair()
        theirs.settimeout(10)
        self.control.send({"op": "worker_up", "index": index}, [ours.fileno()])
        ours.close()
        self.workers[index] = theirs

    def connect(self, door: int = 0) -> socket.socket:
        name = self.listeners[door]
        client = socket.socket(name.family)
        client.settimeout(10)
        client.connect(name.getsockname())
        self.clients.append(client)
        return client

    def offer(self, index: int, number: int) -> socket.socket:
        """What a worker does with a descriptor that shall become a session; the client's end."""
        client, other = socket.socketpair()
        client.settimeout(10)
        self.clients.append(client)
        channel.send_fds(self.workers[index], number.to_bytes(8, "little"), [other.fileno()])
        other.close()
        return client

    def taken(self, index: int) -> tuple[list[int], list[int]]:
        payload, fds, _, _ = socket.recv_fds(self.workers[index], 65536, channel.MAX_FDS)
        ids = [int.from_bytes(payload[at : at + 8], "little") for at in range(0, len(payload), 8)]
        return ids, fds

    def close(self) -> None:
        with contextlib.suppress(ChannelClosedError):
            self.control.send({"op": "stop"})
        self.thread.join(10)
        assert not self.thread.is_alive()
        for end in [*self.workers.values(), *self.clients, *self.listeners]:
            end.close()
        self.control.close()


def close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


def echo(stage: Stage, index: int) -> list[int]:
    """One offer there and back, so that the acceptor is known to listen."""
    stage.offer(index, 99)
    return stage.taken(index)[1]


def settings(stage: Stage, values: dict[str, Any]) -> None:
    """Tell the acceptor, and wait until it has heard."""
    stage.control.send({"op": "settings", "values": values})
    close_all(echo(stage, 0))


def everything(client: socket.socket) -> bytes:
    """What comes until the end."""
    data = b""
    while chunk := client.recv(4096):
        data += chunk
    return data
