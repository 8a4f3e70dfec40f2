"""Addresses of clients as the table tells them, and whether a filter means them.

    values of a condition --fits()--> function of a peer's text --> whether it is one of them

:mod:`shm.census` and :mod:`shm.history` ask it of very many peers, so what a host means is kept.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Final

from shm import layout
from shm.filters import Network

_MAPPED: Final = bytes(10) + b"\xff\xff"
"""What IPv4 addresses that are written as IPv6 begin with."""


def fits(values: Sequence[str | Network]) -> Callable[[bytes], bool]:
    """Whether the text of a peer is one of these, or its address in one of these networks."""
    texts = {_encoded(each) for each in values if isinstance(each, str)}
    networks = [each for each in values if isinstance(each, Network)]
    known: dict[bytes, bool] = {}

    def holds(peer: bytes) -> bool:
        if peer in texts:
            return True
        host = peer.rpartition(b":")[0]
        if host not in known:
            version, number = _address(host) if networks else (0, 0)
            known[host] = any(
                version == each.version and number & each.mask == each.bits for each in networks
            )
        return known[host]

    return holds


def _encoded(text: str) -> bytes:
    """The text of a peer as the table has it, which cuts long ones."""
    return text.encode("utf-8", "surrogateescape")[: layout.PEER_BYTES]


def _address(host: bytes) -> tuple[int, int]:
    """Version and number of a host, zeros for what is none; IPv4 written as IPv6 is IPv4."""
    try:
        if not host.startswith(b"["):
            return 4, int.from_bytes(socket.inet_pton(socket.AF_INET, host.decode()))
        packed = socket.inet_pton(socket.AF_INET6, host[1:-1].partition(b"%")[0].decode())
    except (OSError, ValueError):
        return 0, 0
    if packed.startswith(_MAPPED):
        return 4, int.from_bytes(packed[len(_MAPPED) :])
    return 6, int.from_bytes(packed)
