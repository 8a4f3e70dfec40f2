"""Copies of the slots, many at once, in which nothing is half written.

    segment --chunks()--> Chunk: taken          indexes of slots with sessions
                                 column(field)  that field of every slot

A slot counts when its id is the same before and after it was copied, and so is the version of its
text; one that moved meanwhile is read again by itself. :mod:`shm.census` is the caller.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from shm import layout, regions
from shm.segment import Segment

SLOTS: Final = 4096
"""Slots of a chunk: one MiB, which the caches of a processor hold."""

_FORMATS: Final[dict[str, Any]] = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "f64": "d"}
_SIZE: Final = layout.SLOT.size
_READS: Final = 8
_ODD: Final = 1
_KINDS: Final = {field.name: field.kind for field in layout.SLOT.fields() if field.count == 1}
_OFFSETS: Final[dict[str, int]] = {
    field.name: getattr(layout.Slot, field.name).offset for field in layout.SLOT.fields()
}


class Chunk:
    """Copies of neighbouring slots; those at the indexes ``taken`` are sessions."""

    def __init__(self, data: bytes, taken: Sequence[int]) -> None:
        self.taken = taken
        self._data = data
        self._columns: dict[str, list[Any]] = {}

    def column(self, name: str) -> list[Any]:
        """A number of every slot."""
        if name not in self._columns:
            self._columns[name] = _column(memoryview(self._data), name)
        return self._columns[name]

    def texts(self, name: str, length: str, indexes: Sequence[int]) -> list[bytes]:
        """A text of some slots, whose bytes another field counts."""
        data, at, lengths = self._data, _OFFSETS[name], self.column(length)
        return [
            data[start : start + lengths[index]]
            for index in indexes
            for start in (index * _SIZE + at,)
        ]

    def tails(self, indexes: Sequence[int]) -> list[bytes]:
        """The part of some slots' texts that is behind the name."""
        data, at = self._data, _OFFSETS["text"]
        skipped, lengths = self.column("name_len"), self.column("attrs_len")
        return [
            data[start : start + lengths[index]]
            for index in indexes
            for start in (index * _SIZE + at + skipped[index],)
        ]


def chunks(segment: Segment) -> Iterator[Chunk]:
    """All sessions, in slot order; chunks without any are left out."""
    with memoryview(segment.memory) as memory:
        for first in range(0, segment.capacity, SLOTS):
            start = regions.SLOTS + first * _SIZE
            end = regions.SLOTS + min(first + SLOTS, segment.capacity) * _SIZE
            with memory[start:end] as slots:
                found = _chunk(slots)
            if found.taken:
                yield found


def one(segment: Segment, session: int) -> Chunk | None:
    """A chunk of one slot: that of a session, None when there is no such session."""
    start = regions.SLOTS + session % segment.capacity * _SIZE
    with memoryview(segment.memory) as memory, memory[start : start + _SIZE] as slot:
        copy = _again(slot)
    if copy is None or int.from_bytes(copy[:8], "little") != session:
        return None
    return Chunk(copy, (0,))


def _chunk(slots: memoryview) -> Chunk:
    ids, versions = _column(slots, "id"), _column(slots, "text_version")
    data = _copied(slots)
    ids_then, versions_then = _column(slots, "id"), _column(slots, "text_version")
    if (ids, versions) != (ids_then, versions_then) or any(map(_ODD.__and__, versions)):
        mended = bytearray(data)
        for index, each in enumerate(zip(ids, versions, ids_then, versions_then, strict=True)):
            if each[:2] == each[2:] and not each[1] & _ODD:
                continue
            with slots[index * _SIZE : (index + 1) * _SIZE] as slot:
                copy = _again(slot) or bytes(_SIZE)
            mended[index * _SIZE : (index + 1) * _SIZE] = copy
            ids[index] = int.from_bytes(copy[:8], "little")
        data = bytes(mended)
    return Chunk(data, [index for index, number in enumerate(ids) if number])


def _again(slot: memoryview) -> bytes | None:
    """A copy of one slot, None when it is free; without texts when those never rest."""
    copy = b""
    for _ in range(_READS):
        before = (_column(slot, "id"), _column(slot, "text_version"))
        copy = _copied(slot)
        if before[0] == [0]:
            return None
        if (
            before == (_column(slot, "id"), _column(slot, "text_version"))
            and not before[1][0] & _ODD
        ):
            return copy
    if copy[:8] != bytes(slot[:8]):
        return None
    return copy[: _OFFSETS["name_len"]].ljust(_SIZE, b"\0")


def _copied(slots: memoryview) -> bytes:
    return bytes(slots)


def _column(slots: memoryview, name: str) -> list[Any]:
    numbers: memoryview[Any]
    with slots.cast(_FORMATS[_KINDS[name]]) as numbers:
        size = numbers.itemsize
        found: list[Any] = numbers[_OFFSETS[name] // size :: _SIZE // size].tolist()
        return found
