"""The sessions of a whole server, read from the table: listed, counted, filtered, ordered.

    segment --shm.columns--> columns of numbers --conditions of a Filter--> sessions, as rows

Nobody is asked, so it works whatever the server does. A table of 60,000 sessions is listed in a
quarter of a second and counted in some milliseconds. :mod:`server.snapshot` and the commands of
``server.cli`` are the callers; a worker has the same in Lua.

The table has ids of users only: who wants names brings them along (``users``, see
:func:`shm.catalog.snapshot.user_names`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgpack

from shm import columns, layout, peers
from shm.columns import Chunk
from shm.filters import ALL, FIELDS, GREATER, Condition, Filter
from shm.segment import Segment
from shm.states import EndReason, SessionType, SlotState

NEW: Final = "new"
"""Listener of a session that box.session.new has made."""

_TYPES: Final = {int(each): each.name.lower() for each in SessionType}
_STATES: Final = {int(each): each.name.lower() for each in SlotState}
_REASONS: Final = {int(each): each.name.lower() if each else None for each in EndReason}


class SessionRow(NamedTuple):
    """What is told of one session; the names are those that Lua and JSON have, too."""

    id: int
    type: str
    """``binary`` or ``console``."""
    user: str | None
    """None when the user was dropped, or no names were brought along."""
    uid: int
    peer: str | None
    """None for a descriptor that was connected to nobody when box.session.new took it."""
    listener: str
    """URI of the listener that it came through, or ``new``."""
    worker: int
    """Number of its worker."""
    state: str
    """``claimed``, ``live`` or ``closing``."""
    connected: float
    """Seconds since the epoch."""
    age: float
    """Seconds."""
    idle: float
    """Seconds since its last request or byte; since it connected when there was none."""
    requests: int
    in_flight: int
    bytes_in: int
    bytes_out: int
    pending_out: int
    """Bytes waiting to be sent."""
    inbox_bytes: int
    name: str | None
    attrs: dict[str, str]
    reason: str | None
    """Why it ends, for one that does."""


class Moment(NamedTuple):
    """One instant by both clocks, in seconds."""

    time: float
    monotonic: float

    @classmethod
    def now(cls) -> Moment:
        """This one."""
        return cls(time.time(), time.monotonic())


class Census:
    """Reader of one segment's table, as it is at the moment of each call."""

    def __init__(self, segment: Segment, users: Mapping[int, str] | None = None) -> None:
        """``users``: names by user id."""
        self._segment = segment
        self._users = users or {}

    def sessions(self, wanted: Filter = ALL, now: Moment | None = None) -> list[SessionRow]:
        """Those that are meant, in the order of the filter, equal ones by id."""
        reading = _Reading(self._segment, self._users, now or Moment.now())
        found: list[tuple[Any, int, SessionRow]] = []
        place = FIELDS.index(wanted.order)
        for chunk in columns.chunks(self._segment):
            chosen = reading.chosen(chunk, wanted)
            if wanted.limit is not None and len(chosen) > wanted.limit:
                chosen = _best(reading, chunk, chosen, wanted)
            found += [(_key(row[place]), row.id, row) for row in reading.rows(chunk, chosen)]
        return [row for _, _, row in _first(found, wanted)]

    def count(self, wanted: Filter = ALL, now: Moment | None = None) -> int:
        """How many sessions are meant; the limit of the filter does not count."""
        reading = _Reading(self._segment, self._users, now or Moment.now())
        return sum(len(reading.chosen(chunk, wanted)) for chunk in columns.chunks(self._segment))

    def by(self, *fields: str, wanted: Filter = ALL) -> Counter[tuple[Any, ...]]:
        """How many of the sessions that are meant have which values of some fields."""
        reading = _Reading(self._segment, self._users, Moment.now())
        found: Counter[tuple[Any, ...]] = Counter()
        for chunk in columns.chunks(self._segment):
            chosen = reading.chosen(chunk, wanted)
            values = [reading.values(chunk, field, chosen) for field in fields]
            found.update(zip(*values, strict=True))
        return found

    def find(self, session: int, now: Moment | None = None) -> SessionRow | None:
        """One session by its id, without a look at the others; None when it does not exist."""
        chunk = columns.one(self._segment, session) if session > 0 else None
        if chunk is None:
            return None
        reading = _Reading(self._segment, self._users, now or Moment.now())
        return reading.rows(chunk, chunk.taken)[0]


class _Reading:
    """What one reading of the table knows besides the slots."""

    def __init__(self, segment: Segment, users: Mapping[int, str], now: Moment) -> None:
        rows = segment.rows[: segment.header.workers]
        self._now = now
        self._named: dict[str, tuple[str, Mapping[int, Any]]] = {
            "type": ("type", _TYPES),
            "user": ("uid", users),
            "listener": ("listener", listener_names(segment)),
            "worker": ("worker", {index: int(row.number) for index, row in enumerate(rows)}),
            "state": ("state", _STATES),
            "reason": ("reason", _REASONS),
        }
        """Fields that are told by name: column, and the names of its numbers."""

    def rows(self, chunk: Chunk, chosen: Sequence[int]) -> list[SessionRow]:
        """Everything about the chosen slots."""
        values = [self.values(chunk, field, chosen) for field in FIELDS]
        return list(map(SessionRow._make, zip(*values, strict=True)))

    def chosen(self, chunk: Chunk, wanted: Filter) -> Sequence[int]:
        """Indexes of the sessions that are meant."""
        chosen = chunk.taken
        if (after := wanted.after) is not None:
            ids, down = chunk.column("id"), wanted.descending
            chosen = [each for each in chosen if (ids[each] < after if down else ids[each] > after)]
        for condition in wanted.conditions:
            holds, values = self._test(chunk, condition, chosen)
            chosen = [
                index
                for index, value in zip(chosen, values, strict=True)
                if holds(value) != condition.negated
            ]
        return chosen

    def values(self, chunk: Chunk, field: str, chosen: Sequence[int]) -> Sequence[Any]:
        """One field of the chosen slots, as it is told."""
        if field in self._named:
            number, names = self._named[field]
            return list(map(names.get, map(chunk.column(number).__getitem__, chosen)))
        match field:
            case "peer":
                return _told(chunk.texts("peer", "peer_len", chosen))
            case "name":
                return _told(chunk.texts("text", "name_len", chosen))
            case "attrs":
                return [attributes(text) if text else {} for text in chunk.tails(chosen)]
            case "age":
                return self._since(self._now.time, chunk.column("connected"), chosen)
            case "idle":
                last = chunk.column("last_request")
                idle = self._since(self._now.monotonic, last, chosen)
                ages = self._since(self._now.time, chunk.column("connected"), chosen)
                return [
                    told if last[index] else age
                    for index, told, age in zip(chosen, idle, ages, strict=True)
                ]
        return list(map(chunk.column(field).__getitem__, chosen))

    def _test(
        self, chunk: Chunk, condition: Condition, chosen: Sequence[int]
    ) -> tuple[Callable[[Any], bool], Iterable[Any]]:
        """What must hold, and of which value of every chosen slot."""
        key, values = condition.key, condition.values
        if key == "peer":
            return peers.fits(values), chunk.texts("peer", "peer_len", chosen)
        if key.endswith(GREATER):
            (least,) = values
            return least.__lt__, self.values(chunk, key.removesuffix(GREATER), chosen)
        found = self.values(chunk, key, chosen)
        # Who has no name, or is nobody any more, is asked for by the empty text.
        return frozenset(values).__contains__, map(_key, found)

    def _since(self, now: float, column: list[Any], chosen: Sequence[int]) -> list[float]:
        """Seconds since moments that a column holds; 0 when a clock was set back meanwhile."""
        return [past if (past := now - column[index]) > 0 else 0.0 for index in chosen]


def listener_names(segment: Segment) -> dict[int, str]:
    """Texts of the listeners by the index that slots have, with ``new``."""
    size, at = layout.LISTENER_BYTES, layout.Header.listener_names.offset
    texts = bytes(segment.memory[at : at + layout.Header.listener_names.size])
    parts = (texts[start : start + size] for start in range(0, len(texts), size))
    names = {index: _decoded(part.rstrip(b"\0")) for index, part in enumerate(parts)}
    return {**names, layout.ADOPTED: NEW}


def attributes(packed: bytes) -> dict[str, str]:
    """A session's attributes as the table holds them; none when they cannot be read."""
    try:
        found = msgpack.unpackb(packed, unicode_errors="replace", strict_map_key=False)
    except (ValueError, TypeError, msgpack.UnpackException):
        return {}
    return found if isinstance(found, dict) else {}


def _best(reading: _Reading, chunk: Chunk, chosen: Sequence[int], wanted: Filter) -> Sequence[int]:
    """Those of the chosen that may be among the first, so that no rows are made of the others."""
    keys = map(_key, reading.values(chunk, wanted.order, chosen))
    ids = reading.values(chunk, "id", chosen)
    return [index for _, _, index in _first(list(zip(keys, ids, chosen, strict=True)), wanted)]


def _first(found: list[tuple[Any, int, Any]], wanted: Filter) -> list[tuple[Any, int, Any]]:
    """In order, as many as are wanted: (what counts, id, anything)."""
    found.sort(key=itemgetter(1))
    found.sort(key=itemgetter(0), reverse=wanted.descending)
    return found[: wanted.limit]


def _key(value: Any) -> Any:
    """What a value is ordered by."""
    return "" if value is None else value


def _told(texts: Iterable[bytes]) -> list[str | None]:
    """Texts as they are told: None where there is none."""
    return [_decoded(text) if text else None for text in texts]


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "replace")
