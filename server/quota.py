"""How many sessions each peer address has, exactly. Part of the acceptor process.

Only the acceptor claims sessions, so it knows every id that was given to an address; which of them
still exist, the table says. Ids are kept by address, one a slot: an id that comes to a slot takes
the place of one that is gone. Those that are gone otherwise are looked for only when an address
seems to have too many. A new acceptor reads the table once.

    arrivals --> over? --no--> claimed --> note(id)
                  | yes: those of the address that are gone are dropped; still over: refused

An address is an IPv4 address, or the first 64 bits of an IPv6 one: a host is given that many and
may take any of them. Clients of unix sockets have none and are not limited, nor are consoles, the
server's own sockets and what an application made a session of itself.
"""

from __future__ import annotations

import socket
from collections.abc import Collection
from typing import Final

from shm.sessions import SessionTable

_NETWORK_BYTES: Final = 8
_MAPPED: Final = bytes(10) + b"\xff\xff"
"""What IPv4 addresses that are written as IPv6 begin with."""


def address_of(peer: bytes) -> bytes | None:
    """What the sessions of a peer are counted under, None when they are not."""
    host, colon, _ = peer.rpartition(b":")
    if not colon or peer.startswith(b"unix/"):
        return None
    if not host.startswith(b"["):
        return host
    try:
        packed = socket.inet_pton(socket.AF_INET6, host[1:-1].partition(b"%")[0].decode())
    except (OSError, ValueError):
        return host
    if packed.startswith(_MAPPED):
        return socket.inet_ntoa(packed[len(_MAPPED) :]).encode()
    return packed[:_NETWORK_BYTES]


class _Address:
    """The sessions of one address, as far as they are not known to be gone."""

    __slots__ = ("ids", "name")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.ids: set[int] = set()


class Quota:
    """Sessions by address; ``most`` a piece, 0 while nobody is counted."""

    def __init__(self, table: SessionTable, exempt: Collection[int]) -> None:
        """``exempt``: indexes of the listeners whose sessions are not counted."""
        self._table = table
        self._exempt = exempt
        self._addresses: dict[bytes, _Address] = {}
        self._slots: dict[int, tuple[_Address, int]] = {}
        self._coming: dict[bytes, int] = {}
        self._looked: set[bytes] = set()
        self.most = 0

    def limit(self, most: int) -> None:
        """Count from now on, beginning with what is in the table; 0 ends it."""
        if most and not self.most:
            for session, listener, peer in self._table.peers():
                self.note(session, listener, peer)
        elif not most:
            self._addresses, self._slots = {}, {}
        self.most = most

    def begin(self) -> None:
        """Connections follow that are claimed, as far as they can be, before the next ones."""
        self._coming.clear()
        self._looked.clear()

    def over(self, listener: int, peer: bytes) -> bool:
        """Whether a connection is one too many for its address; otherwise it counts."""
        if listener in self._exempt or (name := address_of(peer)) is None:
            return False
        coming = self._coming.get(name, 0)
        known = self._addresses.get(name)
        if known is not None and len(known.ids) + coming >= self.most and name not in self._looked:
            self._looked.add(name)
            self._drop_gone(known)
        if (0 if known is None else len(known.ids)) + coming >= self.most:
            return True
        self._coming[name] = coming + 1
        return False

    def note(self, session: int, listener: int, peer: bytes) -> None:
        """A session was claimed."""
        if listener in self._exempt:
            return
        name = address_of(peer)
        if name is None:
            return
        known = self._addresses.get(name)
        if known is None:
            known = self._addresses[name] = _Address(name)
        slot = session % self._table.capacity
        before = self._slots.get(slot)
        if before is not None:
            self._drop(*before)
        self._slots[slot] = known, session
        known.ids.add(session)
        # It may have been dropped with its last session a line above.
        self._addresses[name] = known

    def _drop_gone(self, known: _Address) -> None:
        for session in [one for one in known.ids if not self._table.exists(one)]:
            del self._slots[session % self._table.capacity]
            known.ids.remove(session)

    def _drop(self, known: _Address, session: int) -> None:
        known.ids.remove(session)
        if not known.ids:
            del self._addresses[known.name]
