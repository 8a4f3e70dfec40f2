"""The three feeds: how tests give bytes to a server.

A parser that works when a packet arrives in one piece may still fail when it does not, so every
message of the wire tests goes through all of :data:`FEEDS`:

* ``whole``: in one send;
* ``bytewise``: one byte at a time, each seen by the server before the next one leaves; nothing
  may be answered before the message is complete;
* ``attached-2`` and ``attached-7``: in one send with the first bytes of another packet (cut in its
  length, cut in its header), whose rest follows after the answers.

Each feed returns the answers and proves the connection's state afterwards: closed, or open and in
step (a PING is answered, with nothing before it).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.helpers.raw import ClosedError, Packet, Raw, ping

PROBE_SYNC: Final = 0xBEE5
"""Sync of the PING that proves the connection is in step."""

Barrier = Callable[[], None]
"""Returns when the server has looked at everything sent before the call."""


@dataclass(frozen=True)
class Message:
    """What is fed, and what has to come of it."""

    data: bytes
    answers: int
    """Packets to come."""
    closes: bool = False
    """Whether the server ends the connection after them."""
    earliest: int | None = None
    """Number of bytes from which on an answer may come; all of them when None."""


def whole(client: Raw, message: Message, barrier: Barrier) -> list[Packet]:
    """Feed a message in one send."""
    client.send(message.data)
    return _finish(client, message, ping(PROBE_SYNC))


def bytewise(client: Raw, message: Message, barrier: Barrier) -> list[Packet]:
    """Feed a message byte by byte; an answer before it is complete is a failure."""
    earliest = len(message.data) if message.earliest is None else message.earliest
    for sent in range(len(message.data)):
        if sent < earliest:
            assert client.quiet(), f"answered after {sent} of {len(message.data)} bytes"
        try:
            client.send(message.data[sent : sent + 1])
        except ClosedError:
            if message.closes and sent >= earliest:
                break
            raise
        barrier()
    return _finish(client, message, ping(PROBE_SYNC))


def attached(cut: int) -> Feed:
    """A feed whose message has the first ``cut`` bytes of the next packet behind it."""

    def feed(client: Raw, message: Message, barrier: Barrier) -> list[Packet]:
        probe = ping(PROBE_SYNC)
        client.send(message.data + probe[:cut])
        barrier()
        return _finish(client, message, probe[cut:])

    return feed


def _finish(client: Raw, message: Message, probe: bytes) -> list[Packet]:
    answers = list(client.packets(message.answers))
    if message.closes:
        client.wait_closed()
        return answers
    assert client.quiet(), f"more than the {message.answers} answers expected"
    client.send(probe)
    answer = client.packet()
    assert (answer.type, answer.sync) == (0, PROBE_SYNC), f"out of step: {answer}"
    return answers


Feed = Callable[[Raw, Message, Barrier], list[Packet]]

FEEDS: Final[dict[str, Feed]] = {
    "whole": whole,
    "bytewise": bytewise,
    "attached-2": attached(2),
    "attached-7": attached(7),
}
