"""Messages between the supervisor, the acceptor and the workers.

A channel is one end of a ``socketpair(AF_UNIX, SOCK_SEQPACKET)``: one MessagePack map a message,
and up to MAX_FDS descriptors may travel with it. Nothing of a request passes here.

    to the acceptor    {op: worker_up, index} + descriptor, {op: worker_down, index, death},
                       {op: worker_drains, index, death},
                       {op: accept}, {op: settings, values}, {op: reopen_logs}, {op: stop}
    from the acceptor  {op: ready}, {op: worker_gone, index, death},
                       {op: worker_spared, index, death}
    to a worker        {op: lost, first, sessions}, {op: settings, values}, {op: reopen_logs},
                       {op: stop}
    from a worker      {op: ready, sight}, {op: failed, error}, {op: adjust, values}
    to that of metrics   {op: settings, values}, {op: reopen_logs}, {op: stop}
    from that of metrics {op: ready}

``death`` is the number of the death within the row, from 1: an answer to an earlier one says
nothing about claims that were made since.

``sessions`` are lists of the fields of :class:`shm.sessions.LostSession`, ``first`` is the number
of the first one, see server.lost.

``sight`` are the addresses of :class:`shm.running.Sight`.

``values`` are settings that have changed, by their dotted keys.

Workers tell each other things on the bus (:func:`bus`), which they alone read and write, see
workers/lua/engine/bus.lua.

New connections travel from the acceptor to a worker on a channel of their own, one message a batch:
the session ids as little-endian 64-bit integers, and as many descriptors in the same order. On the
same channel a worker offers a descriptor of its own to become a session of its own: an offer is a
number, 64 bits too, with the descriptor; what comes back is 0, the session id and that number.
"""

from __future__ import annotations

import array
import fcntl
import socket
import struct
import termios
from collections.abc import Sequence
from typing import Any, Final

import msgpack

MAX_FDS: Final = 253
"""Most descriptors one message can carry (SCM_MAX_FD of the kernel)."""

MAX_MESSAGE: Final = 65536
"""Longest message, bytes."""

BUS_BUFFER: Final = 1 << 20
"""Bytes wanted between the writers of a row's bus and its reader."""

_OFFER_BYTES: Final = 8
_FD_SIZE: Final = array.array("i").itemsize


class ChannelClosedError(Exception):
    """The other end is gone."""


class Channel:
    """One end of a control channel."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        end.setblocking(False)

    def fileno(self) -> int:
        """Descriptor, for a selector."""
        return self.socket.fileno()

    def send(self, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
        """Send one message; ChannelClosedError when nobody is there to read it.

        ValueError when it is longer than MAX_MESSAGE, BlockingIOError when the other end does not
        read and the socket's buffer is full.
        """
        payload = msgpack.packb(message)
        if len(payload) > MAX_MESSAGE:
            raise ValueError(f"a message of {len(payload)} bytes, at most {MAX_MESSAGE} fit")
        try:
            send_fds(self.socket, payload, fds)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise ChannelClosedError from error

    def receive(self) -> tuple[dict[str, Any], list[int]] | None:
        """The next message with its descriptors, None when there is none yet."""
        received = _receive(self.socket, MAX_MESSAGE, MAX_FDS)
        return received and (msgpack.unpackb(received[0]), received[1])

    def close(self) -> None:
        """Close this end."""
        self.socket.close()


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def bus(workers: int) -> tuple[tuple[socket.socket, socket.socket], ...]:
    """The reading and the writing end of every row, for the life of the server.

    Who holds them keeps what was written and not read yet when a worker dies.
    """
    pairs = tuple(pair() for _ in range(workers))
    for _, writer in pairs:
        # The system cuts this to what it allows (net.core.wmem_max).
        writer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUS_BUFFER)
    return pairs


def send_fds(end: socket.socket, payload: bytes, fds: Sequence[int]) -> None:
    """One message with descriptors; OSError as the system gives it."""
    rights = (
        [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds).tobytes())] if fds else []
    )
    end.sendmsg([payload], rights)


def receive_offer(end: socket.socket) -> tuple[int, int | None] | None:
    """A worker's offer: its number and the descriptor, None for one that the system dropped.

    None when there is no offer now; ChannelClosedError when the worker is gone.
    """
    received = _receive(end, _OFFER_BYTES, 1)
    if received is None:
        return None
    data, fds = received
    return int.from_bytes(data, "little"), fds[0] if fds else None


def _receive(end: socket.socket, size: int, most: int) -> tuple[bytes, list[int]] | None:
    """One message with at most so many descriptors, None when there is none yet."""
    # Not socket.recv_fds, which drops the flags.
    flags = socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT
    try:
        data, ancillary, _, _ = end.recvmsg(size, socket.CMSG_SPACE(most * _FD_SIZE), flags)
    except BlockingIOError:
        return None
    except ConnectionResetError as error:
        raise ChannelClosedError from error
    descriptors = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(payload[: len(payload) - len(payload) % _FD_SIZE])
    if not data:
        raise ChannelClosedError
    return data, list(descriptors)


def unread(end: socket.socket) -> int:
    """Memory taken by what was sent into ``end`` and not received yet, bytes; 0 when all was."""
    taken = array.array("i", [0])
    fcntl.ioctl(end, termios.TIOCOUTQ, taken)
    return taken[0]


def pack_ids(ids: Sequence[int]) -> bytes:
    """Session ids as a worker reads them: little-endian 64-bit integers."""
    return struct.pack(f"<{len(ids)}Q", *ids)
