"""Listeners as the acceptor uses them: how each accepts, names its clients, and who may come in.

    door.accept() --> descriptor, address --> door.peer(address)     the text of box.session.peer()
                          | door.private: the server's own sockets
                          v
                      user_of(descriptor)                             who is at the other end

    a worker's offer --> peer_of(descriptor)

The acceptor makes one for every listener of its order.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from typing import Any, Final

from shm.launch import AcceptorOrder
from shm.segment import Segment

_CREDENTIALS: Final = 12
"""Bytes of the kernel's struct ucred: pid, uid, gid."""


class Door:
    """One listener; ``private`` ones are for this process's user and root only.

    ``staff``: those, and consoles. ``proxied``: proxies come in, and say who their clients are.
    """

    def __init__(
        self,
        number: int,
        end: socket.socket,
        *,
        private: bool,
        staff: bool = False,
        proxied: bool = False,
    ) -> None:
        end.setblocking(False)
        self.number = number
        self.socket = end
        self.private = private
        self.staff = staff or private
        self.proxied = proxied
        # accept() wraps each descriptor in an object that we would only take apart again: 7 us a
        # connection against 4 us.
        self.accept: Callable[[], tuple[int, Any]] = getattr(end, "_accept")  # noqa: B009
        self.peer: Callable[[Any], bytes] = _PEERS[end.family]

    def opened(self, accept: Callable[[Door], None]) -> Callable[[], None]:
        """The callback of this door."""
        return lambda: accept(self)

    def admits(self, fd: int) -> bool:
        """Whether who has connected may come in."""
        return not self.private or user_of(fd) in (0, os.geteuid())


def made(order: AcceptorOrder, segment: Segment) -> list[Door]:
    """The doors of an acceptor, in the order of their names in the segment's header."""
    own, consoles = segment.own_listeners, segment.consoles
    return [
        Door(
            number,
            end,
            private=number in own,
            staff=number in consoles,
            proxied=number in order.proxied,
        )
        for number, end in enumerate(order.listeners)
    ]


def peer_of(fd: int) -> bytes:
    """Address text of whoever is connected to a descriptor; empty when nobody is."""
    try:
        end = socket.socket(fileno=fd)
    except OSError:
        return b""
    try:
        text = _PEERS[end.family](end.getpeername())
        if end.family != socket.AF_UNIX:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (OSError, KeyError):
        return b""
    finally:
        end.detach()
    return text


def user_of(fd: int) -> int | None:
    """User id of the process that connected a unix socket, None when the system does not say."""
    end = socket.socket(fileno=fd)
    try:
        found = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS)
    except OSError:
        return None
    finally:
        end.detach()
    return int.from_bytes(found[4:8], sys.byteorder)


def _ipv4(address: Any) -> bytes:
    return f"{address[0]}:{address[1]}".encode()


def _ipv6(address: Any) -> bytes:
    return f"[{address[0]}]:{address[1]}".encode()


def _unix(address: Any) -> bytes:
    path = os.fsencode(address)
    if not path:
        return b"unix/:(socket)"
    # An abstract address begins with NUL; "@" is how tools write it.
    return b"unix/:" + (b"@" + path[1:] if path.startswith(b"\0") else path)


_PEERS: Final[dict[int, Callable[[Any], bytes]]] = {
    socket.AF_INET: _ipv4,
    socket.AF_INET6: _ipv6,
    socket.AF_UNIX: _unix,
}
