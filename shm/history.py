"""The sessions that ended last: rings of records in the segment.

    worker      when it frees a slot, into the ring of its row (workers/lua/engine/history.lua)
    supervisor  bury(): those of a dead worker, from copies of their slots, into the last ring
    anybody     ended(): all rings, filtered, the newest first unless another order is wanted

A record's id is zeroed first and written last, and checked before and after a copy, so that no
record is read half written. Each ring has one writer, and HISTORY records.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from shm import layout, peers
from shm.census import attributes, listener_names
from shm.filters import GREATER, NEWEST, Condition, Filter
from shm.segment import Segment
from shm.states import EndReason, SessionType

_SIZE: Final = layout.END.size
_TYPES: Final = {int(each): each.name.lower() for each in SessionType}
_REASONS: Final = {int(each): each.name.lower() for each in EndReason if each}
_PEER: Final = layout.End.peer.offset
_TEXT: Final = layout.End.text.offset
_ALIKE: Final = (
    "connected",
    "requests",
    "bytes_in",
    "bytes_out",
    "uid",
    "type",
    "listener",
    "peer_len",
    "name_len",
    "attrs_len",
    "peer",
    "text",
)
"""Fields that slots and records have."""
_ODD: Final = 1


class EndedRow(NamedTuple):
    """What is told of one session that has ended; the names are those that Lua has, too."""

    id: int
    type: str
    """``binary`` or ``console``."""
    user: str | None
    """None when the user was dropped, or no names were brought along."""
    uid: int
    peer: str | None
    listener: str | None
    """URI of the listener that it came through, or ``new``."""
    worker: int
    """Number of its worker."""
    connected: float
    """Seconds since the epoch."""
    ended: float
    age: float
    """Seconds that it lasted."""
    requests: int
    bytes_in: int
    bytes_out: int
    name: str | None
    attrs: dict[str, str]
    reason: str | None


def bury(segment: Segment, row: int, number: int, slots: Iterable[bytes]) -> None:
    """Write down what the dead worker of a row held, from copies of the slots. Supervisor only.

    ``number`` is the worker's. Of more sessions than a ring has those with the smallest ids are
    left out. Some microseconds for each.
    """
    size, header = int(segment.header.history), segment.header
    first, now = int(header.workers) * size, time.time()
    told = _last_told(segment, row)
    for copy in sorted(slots, key=_id)[-size:]:
        slot = layout.Slot.from_buffer_copy(copy)
        if slot.id in told:
            continue
        record = segment.ends[first + int(header.buried) % size]
        record.id = 0
        for name in _ALIKE:
            setattr(record, name, getattr(slot, name))
        record.ended, record.number = now, number
        record.reason = slot.reason or EndReason.WORKER_DIED
        if slot.text_version & _ODD:
            # It died while it changed them.
            record.name_len = record.attrs_len = 0
        record.id = slot.id
        header.buried += 1


def ended(
    segment: Segment, users: Mapping[int, str] | None = None, wanted: Filter = NEWEST
) -> list[EndedRow]:
    """The sessions that ended last and are meant; ``users``: names by user id.

    They come in the order of the filter, the smallest id first where that is equal.
    """
    listeners = listener_names(segment)
    rows = [
        _row(record, users or {}, listeners)
        for ring in range(segment.header.workers + 1)
        for record in _ring(segment, ring)
    ]
    for condition in wanted.conditions:
        holds = _test(condition)
        rows = [row for row in rows if holds(row) != condition.negated]
    place = EndedRow._fields.index(wanted.order)
    rows.sort(key=lambda row: row.id)
    rows.sort(key=lambda row: _key(row[place]), reverse=wanted.descending)
    return rows[: wanted.limit]


def _test(condition: Condition) -> Callable[[EndedRow], bool]:
    """Whether a condition holds, leaving aside whether it is negated."""
    key, values = condition.key, condition.values
    if key == "peer":
        fits = peers.fits(values)
        return lambda row: fits((row.peer or "").encode())
    if key.endswith(GREATER):
        place = EndedRow._fields.index(key.removesuffix(GREATER))
        return lambda row: row[place] > values[0]
    place = EndedRow._fields.index(key)
    return lambda row: _key(row[place]) in values


def _key(value: Any) -> Any:
    """What a value is compared as."""
    return "" if value is None else value


def _last_told(segment: Segment, row: int) -> frozenset[int]:
    """Sessions that the worker of a row may have written down itself, and died before it freed."""
    size, buried = int(segment.header.history), int(segment.rows[row].buried)
    return frozenset(int(segment.ends[row * size + at % size].id) for at in (buried - 1, buried))


def _ring(segment: Segment, ring: int) -> Iterator[Any]:
    """Copies of the records of one ring, in any order."""
    size = int(segment.header.history)
    start = int(segment.header.history_offset) + ring * size * _SIZE
    with memoryview(segment.memory) as memory, memory[start : start + size * _SIZE] as records:
        before = _ids(records)
        data = bytes(records)
        after = _ids(records)
    for index, (number, then) in enumerate(zip(before, after, strict=True)):
        if number and number == then:
            yield layout.End.from_buffer_copy(data, index * _SIZE)


def _ids(records: memoryview) -> list[int]:
    with records.cast("Q") as words:
        found: list[int] = words[:: _SIZE // 8].tolist()
    return found


def _id(copy: bytes) -> int:
    return int.from_bytes(copy[:8], "little")


def _row(record: Any, users: Mapping[int, str], listeners: Mapping[int, str]) -> EndedRow:
    text = bytes(record)[_TEXT:]
    name, rest = text[: record.name_len], text[record.name_len :][: record.attrs_len]
    return EndedRow(
        id=record.id,
        type=_TYPES[record.type],
        user=users.get(record.uid),
        uid=record.uid,
        peer=bytes(record)[_PEER:][: record.peer_len].decode("utf-8", "replace") or None,
        listener=listeners.get(record.listener),
        worker=record.number,
        connected=record.connected,
        ended=record.ended,
        age=max(record.ended - record.connected, 0.0),
        requests=record.requests,
        bytes_in=record.bytes_in,
        bytes_out=record.bytes_out,
        name=name.decode("utf-8", "replace") or None,
        attrs=attributes(rest) if rest else {},
        reason=_REASONS.get(record.reason),
    )
