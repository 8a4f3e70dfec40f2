"""Walking over MessagePack without making values: where they begin, and where they end.

Used to break packets between two values, and to say what a header tells. Unlike a decoder it minds
neither depth nor what an extension holds.
"""

from __future__ import annotations

import struct
from typing import Final

_FIXED: Final = {0xCA: 5, 0xCB: 9, 0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9, 0xD0: 2, 0xD1: 3, 0xD2: 5,
                 0xD3: 9, 0xD4: 3, 0xD5: 4, 0xD6: 6, 0xD7: 10, 0xD8: 18,
                 0xDC: 3, 0xDD: 5, 0xDE: 3, 0xDF: 5}  # fmt: skip
_COUNTED: Final = {0xC4: (">B", 0), 0xC5: (">H", 0), 0xC6: (">I", 0), 0xC7: (">B", 1),
                   0xC8: (">H", 1), 0xC9: (">I", 1), 0xD9: (">B", 0), 0xDA: (">H", 0),
                   0xDB: (">I", 0)}  # fmt: skip


def size(payload: bytes, at: int) -> int:
    """Bytes of the value at ``at``; of a container only its head. May be more than there are."""
    first = payload[at]
    if 0xA0 <= first < 0xC0:
        return 1 + first - 0xA0
    if first in _COUNTED:
        form, more = _COUNTED[first]
        head = 1 + struct.calcsize(form)
        if at + head > len(payload):
            return head
        return head + int(struct.unpack_from(form, payload, at + 1)[0]) + more
    return _FIXED.get(first, 1)


def children(payload: bytes, at: int) -> int:
    """Values inside the container whose whole head is at ``at``; 0 for other values."""
    first = payload[at]
    if 0x80 <= first < 0x90:
        return 2 * (first - 0x80)
    if 0x90 <= first < 0xA0:
        return first - 0x90
    if 0xDC <= first < 0xE0:
        count = int.from_bytes(payload[at + 1 : at + size(payload, at)], "big")
        return count if first < 0xDE else 2 * count
    return 0


def tokens(payload: bytes) -> list[tuple[int, int]]:
    """Start and end of each value; of a container only its head."""
    found: list[tuple[int, int]] = []
    at = 0
    while at < len(payload):
        end = min(at + size(payload, at), len(payload))
        found.append((at, end))
        at = end
    return found


def skip(payload: bytes, at: int) -> int:
    """Where the value at ``at`` ends; ValueError when it does not, or is none."""
    left = 1
    while left:
        if at >= len(payload) or payload[at] == 0xC1:
            raise ValueError("no value")
        end = at + size(payload, at)
        if end > len(payload):
            raise ValueError("half a value")
        left += children(payload, at) - 1
        at = end
    return at


def unsigned(value: bytes) -> int | None:
    """The number a whole value is; None when it is not an unsigned integer."""
    if value[0] < 0x80:
        return value[0]
    return int.from_bytes(value[1:], "big") if 0xCC <= value[0] <= 0xCF else None
