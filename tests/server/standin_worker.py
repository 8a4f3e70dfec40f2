"""A worker without Lua, for tests of the control plane.

It speaks the channels' protocol and keeps the table's rules. The application file is a list of
orders: ``fail TEXT``, ``die CODE``, ``hang`` (never ready), ``deaf`` (ready, but does not stop).
A client gets one line, ``worker INDEX session ID``, then its own bytes back.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import sys
import threading
from pathlib import Path

from shm import channel
from shm.channel import Channel, ChannelClosedError
from shm.launch import WorkerOrder
from shm.segment import Segment
from shm.states import SlotState


def main(order: WorkerOrder) -> None:
    Worker(order).run()


class Worker:
    def __init__(self, order: WorkerOrder) -> None:
        self.order = order
        self.segment = Segment.attach(order.segment)
        self.row = self.segment.rows[order.index]
        self.control = Channel(order.control)
        self.intake = order.intake
        self.selector = selectors.DefaultSelector()
        self.running = True
        self.deaf = False

    def run(self) -> None:
        for line in Path(self.order.app).read_text().splitlines() if self.order.app else ():
            self.obey(*line.split(" ", 1))
        self.selector.register(self.control, selectors.EVENT_READ, self.on_control)
        self.selector.register(self.intake, selectors.EVENT_READ, self.on_intake)
        self.control.send({"op": "ready"})
        while self.running:
            self.row.heartbeat += 1
            for key, _ in self.selector.select(1.0):
                key.data()

    def obey(self, word: str, rest: str = "") -> None:
        if word == "fail":
            self.control.send({"op": "failed", "error": rest})
            sys.exit(3)
        if word == "die":
            sys.exit(int(rest))
        if word == "hang":
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
            threading.Event().wait()
        if word == "deaf":
            self.deaf = True

    def on_control(self) -> None:
        try:
            received = self.control.receive()
        except ChannelClosedError:
            os._exit(0)
        if received is not None and received[0]["op"] == "stop" and not self.deaf:
            self.running = False
        if received is not None and received[0]["op"] == "settings":
            print(f"worker {self.order.index} took {received[0]['values']}", file=sys.stderr)

    def on_intake(self) -> None:
        payload, fds, _, _ = socket.recv_fds(self.intake, channel.MAX_MESSAGE, channel.MAX_FDS)
        if not payload:
            self.selector.unregister(self.intake)
            return
        ids = [int.from_bytes(payload[at : at + 8], "little") for at in range(0, len(payload), 8)]
        for session, fd in zip(ids, fds, strict=True):
            self.segment.slots[session % self.segment.capacity].state = SlotState.LIVE
            client = socket.socket(fileno=fd)
            client.sendall(f"worker {self.order.index} session {session}\n".encode())
            self.row.sessions += 1
            self.selector.register(
                client, selectors.EVENT_READ, lambda c=client, s=session: self.on_client(c, s)
            )

    def on_client(self, client: socket.socket, session: int) -> None:
        try:
            data = client.recv(65536)
        except ConnectionError:
            data = b""
        if data:
            client.sendall(data)
            return
        self.selector.unregister(client)
        slot = self.segment.slots[session % self.segment.capacity]
        slot.state = SlotState.CLOSING
        slot.id = 0
        slot.state = SlotState.FREE
        self.row.freed += 1
        self.row.sessions -= 1
        client.close()
