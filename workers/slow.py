"""Sees requests that run for long without waiting: log.slow_request.

The watchdog's thread calls :meth:`Slow.look` again and again. It reads the loop's pulse and two of
its times, so a request that is fast is not touched. What it has seen it leaves in a box in Lua's
memory; Lua counts it and writes the line, see workers/lua/engine/slow.lua, which also measures the
requests that wait.

    the same request is there for half of the limit   what it asks for is noted
    it is there no more, and the limit was reached    it is put into the box
"""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass, field
from typing import Final

from shm import layout, running
from shm.running import Pulse, Sight
from shm.segment import Segment

PLACES: Final = 32
SHORTEST: Final = 0.005
LONGEST: Final = 0.25
"""Seconds between two looks."""
LOOKS: Final = 10
"""Looks within the limit."""


class Item(ctypes.Structure):
    """bee_slow_t, see lua/engine/slow.lua."""

    _fields_ = [
        ("session", ctypes.c_double),
        ("seconds", ctypes.c_double),
        ("batch", ctypes.c_double),
        ("i", ctypes.c_int32),
        ("uid", ctypes.c_int32),
        ("peer", ctypes.c_char * 84),
        ("request", ctypes.c_char * 100),
    ]


class Box(ctypes.Structure):
    """bee_slow_box_t."""

    _fields_ = [
        ("put", ctypes.c_uint32),
        ("missed", ctypes.c_uint32),
        ("taken", ctypes.c_uint32),
        ("items", Item * PLACES),
    ]


@dataclass(frozen=True)
class Places:
    """Addresses in Lua's memory: the box, when the loop woke up last, when it ended something."""

    box: int
    woke: int
    mark: int


@dataclass(frozen=True)
class _Facts:
    """Whose request it is, and what it asks for."""

    session: int
    uid: int
    peer: bytes
    request: bytes


_Key = tuple[float, int, int]


@dataclass
class Slow:
    """Looks at the requests of one worker; ``limit`` in seconds, 0 for none."""

    segment: Segment
    sight: Sight
    places: Places
    limit: float = 0.0
    _seen: _Key | None = None
    _began: float = 0.0
    _looked: float = math.inf
    _facts: _Facts | None = None
    _box: Box = field(init=False)

    def __post_init__(self) -> None:
        self._pulse = Pulse.from_address(self.sight.pulse)
        self._box = Box.from_address(self.places.box)
        self._woke = ctypes.c_double.from_address(self.places.woke)
        self._mark = ctypes.c_double.from_address(self.places.mark)

    @property
    def pause(self) -> float:
        """Seconds until the next look."""
        return min(max(self.limit / LOOKS, SHORTEST), LONGEST) if self.limit else math.inf

    def look(self, now: float) -> None:
        """See what runs at ``now``, monotonic seconds."""
        if not self.limit:
            self._seen, self._facts, self._looked = None, None, math.inf
            return
        key = self._key()
        if key != self._seen:
            self._end(now)
            self._seen, self._facts = key, None
            # It was not there at the last look, and not before what the loop did last.
            self._began = max(min(self._looked, now), self._woke.value, self._mark.value)
        elif key is not None and self._facts is None and now - self._began >= self.limit / 2:
            self._facts = self._note()
        self._looked = now

    def _key(self) -> _Key | None:
        """What the request that is executed is known by, also while a fiber of it runs."""
        pulse = self._pulse
        if not (pulse.in_request or pulse.away) or not pulse.have:
            return None
        return pulse.batch, pulse.i, pulse.have

    def _note(self) -> _Facts | None:
        """None while a fiber runs that the request has made."""
        found = None if self._pulse.away else running.look(running.own_memory, self.sight)
        if found is None or self._pulse.away or self._key() != self._seen:
            return None
        slot = self.segment.slots[found.session % self.segment.capacity]
        if slot.id != found.session:
            return None
        peer = bytes(slot.peer[: min(slot.peer_len, layout.PEER_BYTES)])
        return _Facts(found.session, int(slot.uid), peer, _cut(found.request.encode()))

    def _end(self, now: float) -> None:
        """What was seen runs no more: since its batch has ended, at most since the last look."""
        if self._seen is None:
            return
        end = self._mark.value if self._looked < self._mark.value < now else now
        if end - self._began >= self.limit:
            self._put(self._facts or _Facts(0, 0, b"", b"unknown"), end - self._began)

    def _put(self, facts: _Facts, seconds: float) -> None:
        assert self._seen is not None
        box = self._box
        if (box.put - box.taken) % 2**32 >= PLACES:
            box.missed += 1
            return
        item = box.items[box.put % PLACES]
        item.batch, item.i, _ = self._seen
        item.session, item.uid, item.seconds = facts.session, facts.uid, seconds
        item.peer, item.request = facts.peer, facts.request
        # Last: what is below may be taken.
        box.put = (box.put + 1) % 2**32


def _cut(text: bytes) -> bytes:
    most = Item.request.size - 1
    return text if len(text) <= most else text[: most - 3] + b"..."
