"""The session table as Python sees it: claim, look up, hand back, reclaim.

The acceptor claims; the supervisor reclaims what a dead worker held; tools and tests read. Workers
use their own view in LuaJIT (``workers/lua/engine/table.lua``), which follows the same rules.

Ids are 1, 2, 3, ... and never reused; the slot of an id is ``id % capacity``, and an id whose slot
is still taken is skipped. A look-up is therefore one index and one compare.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from shm import layout, orders, regions, states
from shm.record import Writer
from shm.segment import Segment
from shm.states import EndReason, SessionType, SlotState

_IDENTITY: Final = struct.Struct(f"<QIHBBd{layout.SALT_BYTES}sB{layout.PEER_BYTES}s")
_STATE_WORD: Final = layout.Slot.state.offset // 4
_ID_WORD: Final = layout.Slot.id.offset // 8
_WORKER_WORD: Final = layout.Slot.worker.offset // 2
_SIZE: Final = layout.SLOT.size
_STRIDE: Final = _SIZE // 4
_IDS: Final = _SIZE // 8
_HALVES: Final = _SIZE // 2
_CLAIMED, _FREE = int(SlotState.CLAIMED), int(SlotState.FREE)
_STATE: Final = layout.Slot.state.offset
_FD: Final = slice(layout.Slot.fd.offset, layout.Slot.fd.offset + layout.Slot.fd.size)
_NO_FD: Final = b"\xff" * layout.Slot.fd.size
"""A session without one has ended, and was counted; its slot is kept for its requests."""
_READS: Final = 8
_TRIES: Final = 16
_TAKEN: Final = frozenset({SlotState.CLAIMED, SlotState.LIVE, SlotState.CLOSING})


@dataclass(frozen=True)
class Session:
    """What the table says of one session; times in seconds since the epoch."""

    id: int
    state: SlotState
    worker: int
    type: SessionType
    listener: int
    connected: float
    peer: str


class LostSession(NamedTuple):
    """A session whose worker died before it began to end it; ``peer`` as in the slot."""

    id: int
    uid: int
    type: int
    listener: int
    peer: bytes
    reason: int = 0
    """Why it was to end before the worker died, 0: nobody wanted it to."""


@dataclass(frozen=True)
class Reclaimed:
    """Slots that were freed: their ids, and the LIVE sessions whose on_connect had begun.

    ``slots`` are copies of those that were LIVE or CLOSING.
    """

    ids: list[int]
    lost: list[LostSession]
    slots: list[bytes] = field(default_factory=list)


class SessionTable:
    """Views over the slots of one segment."""

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        self.capacity = segment.capacity
        end = regions.SLOTS + layout.SLOT.size * self.capacity
        slots = memoryview(segment.memory)[regions.SLOTS : end]
        self._bytes = slots
        self._ids = slots.cast("Q")
        self._states = slots.cast("I")
        self._workers = slots.cast("H")

    def close(self) -> None:
        """Release the views; must be called before the segment is closed."""
        for view in (self._ids, self._states, self._workers, self._bytes):
            view.release()

    def claim(
        self,
        peer: bytes,
        worker: int,
        salt: bytes,
        listener: int = 0,
        kind: SessionType = SessionType.BINARY,
    ) -> int | None:
        """Take the next free slot for a new session; its id, or None when every slot is taken.

        Acceptor only. ``peer`` is cut to PEER_BYTES, ``salt`` is SALT_BYTES long.
        """
        header = self._segment.header
        found = self._next_free(int(header.last_id) + 1)
        if found is None:
            return None
        new, slot = found
        peer = peer[: layout.PEER_BYTES]
        self._store(slot, worker, kind, listener, salt, peer)
        header.last_id = new
        header.claimed += 1
        self._states[slot * _STRIDE + _STATE_WORD] = SlotState.CLAIMED
        self._ids[slot * (layout.SLOT.size // 8) + _ID_WORD] = new
        return new

    def release(self, session: int) -> None:
        """Give a claimed session back: its connection could not be handed over. Acceptor only."""
        self._free(Writer.ACCEPTOR, session % self.capacity)
        self._segment.header.released += 1

    def exists(self, session: int) -> bool:
        """Whether the session is in the table: from claimed until free."""
        return session > 0 and self._id(session % self.capacity) == session

    def peer(self, session: int) -> str | None:
        """Address text of a session, None when it does not exist."""
        found = self.read(session % self.capacity)
        return found.peer if found is not None and found.id == session else None

    def read(self, slot: int) -> Session | None:
        """What the slot holds now, None when it is free.

        Copies, then checks that the id did not change meanwhile; a slot that changes hands at
        every try counts as free.
        """
        at = slot * layout.SLOT.size
        for _ in range(_READS):
            before = self._id(slot)
            copy = bytes(self._bytes[at : at + _IDENTITY.size])
            if before == 0:
                return None
            if self._id(slot) == before:
                return _session(before, copy)
        return None

    def sessions(self) -> Iterator[Session]:
        """Every session in the table, in slot order."""
        for slot in range(self.capacity):
            found = self.read(slot)
            if found is not None:
                yield found

    def peers(self) -> Iterator[tuple[int, int, bytes]]:
        """Id, listener and address text of every session: for the acceptor, which alone claims."""
        taken = bytes(self._bytes[_STATE_WORD * 4 :: layout.SLOT.size])
        for slot in range(self.capacity):
            if taken[slot] == SlotState.FREE:
                continue
            at = slot * layout.SLOT.size
            number, _, _, _, listener, _, _, used, peer = _IDENTITY.unpack_from(self._bytes, at)
            if number:
                yield number, listener, peer[:used]

    def live(self) -> int:
        """Sessions in the table now, from the counters: no scan. May be off while they move."""
        header = self._segment.header
        rows = self._segment.rows[: header.workers]
        ended = sum(row.freed + row.reclaimed for row in rows)
        return int(header.claimed - header.released - ended)

    def reclaim(
        self, worker: int, wanted: frozenset[SlotState], newest: int | None = None
    ) -> Reclaimed:
        """Free the slots of a dead worker that are in one of the ``wanted`` states.

        With ``newest`` only ids up to it: claims of a dead acceptor that never reached the worker.

        Supervisor only. Claimed slots may be taken only when the acceptor has stopped using that
        worker. A slot whose worker died while freeing it has id 0.
        """
        for state in wanted:
            states.check(Writer.SUPERVISOR, state, SlotState.FREE)
        ids, words, workers, table = self._ids, self._states, self._workers, self._bytes
        freed: list[int] = []
        slots: list[bytes] = []
        unheard = 0  # Sessions that were on their way to the worker.
        # Tens of thousands may be waited for: nothing here that can be done afterwards.
        for slot in self._candidates(worker, wanted):
            number = ids[slot * _IDS + _ID_WORD]
            state_at = slot * _STRIDE + _STATE_WORD
            state = words[state_at]
            # The slot of a living worker may have changed hands since the first look.
            if workers[slot * _HALVES + _WORKER_WORD] != worker or state not in wanted:
                continue
            if newest is not None and number > newest:
                continue
            if state == _CLAIMED:
                unheard += number != 0
            elif number:
                at = slot * _SIZE
                slots.append(bytes(table[at : at + _SIZE]))
            ids[slot * _IDS + _ID_WORD] = 0
            words[state_at] = _FREE
            freed.append(number)
        row = self._segment.rows[worker]
        row.reclaimed += len(freed)
        slots = [self._as_ordered(copy) for copy in slots]
        live = [copy for copy in slots if copy[_STATE] == SlotState.LIVE]
        row.lost += unheard + sum(copy[_FD] != _NO_FD for copy in live)
        return Reclaimed(freed, [_lost(copy) for copy in live if _has_begun(copy)], slots)

    def _as_ordered(self, copy: bytes) -> bytes:
        """The copy of a slot, whose session was killed if somebody had asked for that."""
        if not orders.is_killed(self._segment, int.from_bytes(copy[:8], "little")):
            return copy
        changed = layout.Slot.from_buffer_copy(copy)
        changed.reason = EndReason.KILLED
        return bytes(changed)

    def settle(self, worker: int) -> None:
        """Count the slot that a dead worker had freed and not counted yet, if it had.

        Supervisor only, when the acceptor uses that worker no more and nothing of it is left.
        """
        row = self._segment.rows[worker]
        if row.assigned - row.freed - row.reclaimed == 1:
            row.reclaimed += 1

    def held(self, workers: Iterable[int]) -> list[int]:
        """How many slots each of the workers has, in whatever state."""
        taken, owners = self._taken()
        every = int.from_bytes(_marked(taken, _TAKEN))
        return [
            (every & int.from_bytes(_marked(owners, [worker]))).bit_count() for worker in workers
        ]

    def holds(self, worker: int) -> bool:
        """Whether a slot is a worker's, in whatever state."""
        return next(self._candidates(worker, _TAKEN), None) is not None

    def _candidates(self, worker: int, wanted: frozenset[SlotState]) -> Iterator[int]:
        """Slots of a worker in one of the states."""
        taken, workers = self._taken()
        both = int.from_bytes(_marked(taken, wanted)) & int.from_bytes(_marked(workers, [worker]))
        marks = both.to_bytes(self.capacity)
        slot = marks.find(1)
        while slot >= 0:
            yield slot
            slot = marks.find(1, slot + 1)

    def _taken(self) -> tuple[bytes, bytes]:
        """Copies of all states and workers, a byte each.

        A million slots take 25 ms once their pages are mapped; one by one, most of a second.
        """
        words = bytes(self._ids[_STATE_WORD * 4 // 8 :: layout.SLOT.size // 8])
        # The word holds the state, then the worker, whose index fits a byte: there are 256 at most.
        return words[::8], words[_WORKER_WORD * 2 % 8 :: 8]

    def _next_free(self, new: int) -> tuple[int, int] | None:
        """The first id from ``new`` on whose slot is free, with that slot; None when none is.

        A few slots are tried one by one; then a copy of all states, 15 times faster than going on.
        """
        for number in range(new, new + min(_TRIES, self.capacity)):
            slot = number % self.capacity
            if self._states[slot * _STRIDE + _STATE_WORD] == SlotState.FREE:
                return number, slot
        first = new % self.capacity
        taken = bytes(self._bytes[_STATE_WORD * 4 :: layout.SLOT.size])
        slot = taken.find(SlotState.FREE, first)
        if slot < 0:
            slot = taken.find(SlotState.FREE, 0, first)
        return None if slot < 0 else (new + (slot - first) % self.capacity, slot)

    def _id(self, slot: int) -> int:
        number: int = self._ids[slot * (layout.SLOT.size // 8) + _ID_WORD]
        return number

    def _store(
        self, slot: int, worker: int, kind: int, listener: int, salt: bytes, peer: bytes
    ) -> None:
        at = slot * layout.SLOT.size
        self._bytes[at + _IDENTITY.size : at + layout.SLOT.size] = _NO_FIGURES
        _IDENTITY.pack_into(
            self._bytes,
            at,
            0,
            SlotState.FREE,
            worker,
            kind,
            listener,
            time.time(),
            salt,
            len(peer),
            peer,
        )

    def _free(self, writer: Writer, slot: int) -> None:
        old = SlotState(self._states[slot * _STRIDE + _STATE_WORD])
        states.check(writer, old, SlotState.FREE)
        self._ids[slot * (layout.SLOT.size // 8) + _ID_WORD] = 0
        self._states[slot * _STRIDE + _STATE_WORD] = SlotState.FREE


_OPENED: Final = layout.Slot.opened
_UID: Final = layout.Slot.uid
_REASON: Final = layout.Slot.reason
_NO_FIGURES: Final = bytes(layout.SLOT.size - _IDENTITY.size)


def _marked(values: bytes, wanted: Iterable[int]) -> bytes:
    """1 for each of the wanted values, 0 for any other."""
    table = bytearray(256)
    for value in wanted:
        table[value] = 1
    return values.translate(table)


def _has_begun(copy: bytes) -> bool:
    """Whether the functions of on_connect have begun for a session, if there are any."""
    return any(copy[_OPENED.offset : _OPENED.offset + _OPENED.size])


def _lost(copy: bytes) -> LostSession:
    number, _, _, kind, listener, _, _, used, peer = _IDENTITY.unpack_from(copy)
    uid = int.from_bytes(copy[_UID.offset : _UID.offset + _UID.size], "little")
    reason = int.from_bytes(copy[_REASON.offset : _REASON.offset + _REASON.size], "little")
    return LostSession(number, uid, kind, listener, peer[:used], reason)


def _session(number: int, copy: bytes) -> Session:
    _, state, worker, kind, listener, connected, _, used, peer = _IDENTITY.unpack(copy)
    return Session(
        id=number,
        state=SlotState(state),
        worker=worker,
        type=SessionType(kind),
        listener=listener,
        connected=connected,
        peer=peer[:used].decode("utf-8", "replace"),
    )
