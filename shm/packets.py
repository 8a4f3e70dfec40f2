"""What a packet asks for, in words for the log.

:mod:`shm.running` shows with it which request a worker is busy with. The packet was accepted by the
loop, but may be anything; whatever cannot be read is said as far as it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import msgpack

LONGEST: Final = 80
"""Characters of a source that are shown."""

_SECRET: Final = re.compile("passw|secret", re.IGNORECASE)
_TYPE: Final = 0
_NAME: Final = 0x22
_SOURCE: Final = 0x27
_WIDTHS: Final = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
_LONGEST_PREFIX: Final = 9
_LOOKED_AT: Final = 65536
"""Bytes of a packet in which its name or source is looked for."""

Read = Callable[[int, int], bytes]
"""Bytes of the receive buffer, by position and number."""


def discreet(words: str) -> str:
    """The words for the log, without a source or statement that may have a password in it."""
    verb, _, text = words.partition(" ")
    if verb == "call" or not _SECRET.search(text):
        return words
    return f"{verb} (not shown: it may have a password in it)"


def asked(read: Read, end: int) -> str:
    """What the packet that ends at ``end`` asks for; packets follow each other from 0 on."""
    at = 0
    while at < end:
        start, size = _extent(read, at)
        if start + size == end:
            return _asked(read(start, min(size, _LOOKED_AT)))
        if size == 0:
            break
        at = start + size
    return "unknown"


def _extent(read: Read, at: int) -> tuple[int, int]:
    """Where the packet whose length is at ``at`` begins, and its size."""
    prefix = read(at, _LONGEST_PREFIX)
    width = _WIDTHS.get(prefix[0], 0)
    number = prefix[1 : 1 + width] if width else prefix[:1]
    return at + 1 + width, int.from_bytes(number, "big")


def _asked(data: bytes) -> str:
    unpacker = msgpack.Unpacker(raw=True, strict_map_key=False, max_buffer_size=_LOOKED_AT)
    unpacker.feed(data)
    kind = "a packet"
    try:
        header = unpacker.unpack()
        kind = f"type {header.get(_TYPE, 0)}" if isinstance(header, dict) else kind
        for _ in range(unpacker.read_map_header()):
            key = unpacker.unpack()
            if key in (_NAME, _SOURCE):
                return _text("call" if key == _NAME else "eval", unpacker.unpack())
            unpacker.skip()
    except (ValueError, TypeError, msgpack.UnpackException):
        pass
    return kind


def _text(verb: str, value: Any) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    words = discreet(f"{verb} {text}")
    most = len(verb) + 1 + LONGEST
    return words if len(words) <= most else f"{words[:most]}..."
