"""From an accepted connection to its worker: choose, claim, send. Part of the acceptor process.

A connection gets its id and slot only for the length of one :meth:`Handover.deliver`: claimed, sent
to a worker together with its descriptor, or given back. So when a worker dies, no claim for it is
left here, and connections that wait for a worker hold no slot.

    arrivals --> spread by load --> claim in order of arrival --> one message a worker
                                                                    | full: try another
                                                                    v
                                               left over: no worker can take them now
"""

from __future__ import annotations

import errno
import heapq
import os
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from server.limits import open_files, session_room
from server.quota import Quota
from shm import channel, layout
from shm.segment import Segment
from shm.sessions import SessionTable
from shm.states import SessionType

ANY: Final = -1
BATCH: Final = channel.MAX_FDS
"""Most connections that are delivered at once."""

LOOK: Final = 0.1
"""Seconds that what was seen of the heartbeats stays good."""
STALLED: Final = 1.3
"""Seconds; the loop of a worker turns at least once a second when it is not kept busy."""

_SALTS: Final = 256
"""Salts that are asked of the system at once."""
_GONE: Final = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN})


class Arrival(NamedTuple):
    """An accepted connection: descriptor, address text, index of its listener.

    A worker's own offer has the index of that worker as well, and the offer's number.
    """

    fd: int
    peer: bytes
    listener: int
    worker: int = ANY
    offer: int = 0


class Worker:
    """The acceptor's end of one worker's intake."""

    def __init__(self, index: int, row: Any, intake: socket.socket) -> None:
        self.index = index
        self.row = row
        self.intake = intake
        self.full = False
        self.choked = False
        """Full until its intake is writable."""
        self.drains = False
        """It gets nothing but what it has offered itself."""
        self.most = 0
        """Load up to which it was given sessions last."""
        self._beat = -1
        self._moved = 0.0
        intake.setblocking(False)

    def fileno(self) -> int:
        """Descriptor, for a selector."""
        return self.intake.fileno()

    def look(self, now: float) -> None:
        """See whether its loop has turned since the last look."""
        beat = self.row.heartbeat
        if beat != self._beat:
            self._beat, self._moved = beat, now

    def stalled(self, now: float) -> bool:
        """Whether it has been in one request for so long that a new client would wait."""
        return now - self._moved > STALLED

    def load(self) -> int:
        """Sessions on their way to it or held by it."""
        row = self.row
        return int(row.assigned - row.freed - row.reclaimed)

    def weigh(self, limit: int, staff: bool) -> int:
        """Its load; ``most`` is then the one that its descriptors allow."""
        # In this order: a socket is counted as kept before its session is as gone.
        load = self.load()
        row = self.row
        self.most = session_room(limit, int(row.own_fds), staff=staff) - int(row.kept)
        return load


@dataclass
class Outcome:
    """What one delivery could not place.

    ``waiting``: no worker can take them now. ``held``: offers whose worker cannot take them back
    now. ``refused``: the table is full. ``over``: the address has all it may have. ``choked``:
    workers that take nothing until their intake is writable, or, with ``scarce``, until the system
    has memory or descriptors again. ``roomless``: those that wait do so for a worker's descriptors,
    of which nobody tells when they are free.
    """

    waiting: list[Arrival] = field(default_factory=list)
    held: list[Arrival] = field(default_factory=list)
    refused: list[Arrival] = field(default_factory=list)
    over: list[Arrival] = field(default_factory=list)
    choked: list[Worker] = field(default_factory=list)
    scarce: bool = False
    roomless: bool = False


class Handover:
    """The workers that can be given connections."""

    def __init__(self, table: SessionTable, segment: Segment) -> None:
        self._table = table
        self._rows = segment.rows
        self._reserved = int(segment.header.reserved)
        self._own = segment.own_listeners
        self._consoles = segment.consoles
        self._limit = open_files()
        self.staff = {*self._consoles, *self._own}
        """Listeners whose sessions may have descriptors that are kept from others."""
        self.quota = Quota(table, {*self.staff, layout.ADOPTED})
        self._workers: dict[int, Worker] = {}
        self._turn = 0
        self._salts = b""
        self._salt = 0
        self._looked = 0.0

    def add(self, index: int, intake: socket.socket) -> Worker:
        """A worker is up."""
        worker = self._workers[index] = Worker(index, self._rows[index], intake)
        worker.look(time.monotonic())
        return worker

    def remove(self, index: int) -> Worker | None:
        """A worker is gone; None when it was gone already. The caller closes its intake."""
        return self._workers.pop(index, None)

    def spare(self, index: int) -> None:
        """Give a worker no new sessions any more."""
        worker = self._workers.get(index)
        if worker is not None:
            worker.drains = True

    def workers(self) -> Iterable[Worker]:
        """All workers that are up."""
        return self._workers.values()

    def try_again(self) -> None:
        """The system may have memory and descriptors again."""
        for worker in self._workers.values():
            if not worker.choked:
                worker.full = False

    def close(self) -> None:
        """Close all intakes."""
        for worker in self._workers.values():
            worker.intake.close()

    def look(self, now: float) -> None:
        """See which workers' loops turn; at least once a second, or idle ones seem busy."""
        if now - self._looked >= LOOK:
            self._looked = now
            for worker in self._workers.values():
                worker.look(now)

    def deliver(self, arrivals: Sequence[Arrival]) -> Outcome:
        """Hand connections to the least loaded workers; see :class:`Outcome` for the rest.

        Descriptors that were sent are closed here; those in the outcome are still open.
        """
        outcome = Outcome()
        guests: list[Arrival] = []
        staff: list[Arrival] = []
        for arrival in self._admit(arrivals, outcome):
            if arrival.worker != ANY:
                self._give_back(arrival, outcome)
            elif arrival.listener in self.staff:
                staff.append(arrival)
            else:
                guests.append(arrival)
        self._place(staff, outcome, staff=True)
        self._place(guests, outcome, staff=False)
        return outcome

    def _place(self, todo: list[Arrival], outcome: Outcome, *, staff: bool) -> None:
        """Hand over all, or as many as the workers can take."""
        while todo:
            takers = [one for one in self._workers.values() if not (one.full or one.drains)]
            chosen = self._choose(takers, len(todo), staff=staff) if takers else []
            if not chosen:
                outcome.waiting += todo
                outcome.roomless = outcome.roomless or bool(takers)
                return
            late = todo[len(chosen) :]
            if len(chosen) == 1:
                todo = self._alone(todo[0], chosen[0], outcome) + late
            else:
                todo = self._round(todo[: len(chosen)], chosen, outcome) + late

    def _admit(self, arrivals: Sequence[Arrival], outcome: Outcome) -> list[Arrival]:
        """Those there is room for; the last slots are kept for the server's own sockets."""
        room = self._table.capacity - self._table.live()
        quota, limited = self.quota, self.quota.most > 0
        quota.begin()
        admitted: list[Arrival] = []
        for arrival in arrivals:
            kept = 0 if arrival.listener in self._own else self._reserved
            if len(admitted) >= room - kept:
                outcome.refused.append(arrival)
            elif limited and quota.over(arrival.listener, arrival.peer):
                outcome.over.append(arrival)
            else:
                admitted.append(arrival)
        return admitted

    def _give_back(self, arrival: Arrival, outcome: Outcome) -> None:
        """An offer goes to the worker it came from; when that is gone, so is its client."""
        worker = self._workers.get(arrival.worker)
        if worker is None:
            os.close(arrival.fd)
            return
        if worker.full:
            outcome.held.append(arrival)
            return
        session = self._claim(arrival, worker, outcome)
        if session is not None and not self._send(worker, [session], [arrival], outcome):
            outcome.held.append(arrival)

    def _claim(self, arrival: Arrival, worker: Worker, outcome: Outcome) -> int | None:
        """A session for an arrival; None when the table is full after all."""
        at = self._salt
        if at == len(self._salts):
            self._salts, at = os.urandom(_SALTS * layout.SALT_BYTES), 0
        self._salt = at + layout.SALT_BYTES
        listener = arrival.listener
        kind = SessionType.CONSOLE if listener in self._consoles else SessionType.BINARY
        salt = self._salts[at : self._salt]
        session = self._table.claim(arrival.peer, worker.index, salt, listener, kind)
        if session is None:
            outcome.refused.append(arrival)
        elif self.quota.most:
            self.quota.note(session, listener, arrival.peer)
        return session

    def _alone(self, arrival: Arrival, worker: Worker, outcome: Outcome) -> list[Arrival]:
        """As :meth:`_round`, for the one arrival that comes when there is no crowd."""
        session = self._claim(arrival, worker, outcome)
        if session is None or self._send(worker, [session], [arrival], outcome):
            return []
        return [arrival]

    def _round(
        self, arrivals: list[Arrival], chosen: list[Worker], outcome: Outcome
    ) -> list[Arrival]:
        """One try for every arrival; those whose worker did not take them."""
        shares: dict[int, tuple[Worker, list[int], list[Arrival]]] = {
            worker.index: (worker, [], []) for worker in chosen
        }
        for arrival, worker in zip(arrivals, chosen, strict=True):
            session = self._claim(arrival, worker, outcome)
            if session is not None:
                _, ids, share = shares[worker.index]
                ids.append(session)
                share.append(arrival)
        left: list[Arrival] = []
        for worker, ids, share in shares.values():
            if ids and not self._send(worker, ids, share, outcome):
                left += share
        return left

    def _choose(self, takers: list[Worker], count: int, *, staff: bool) -> list[Worker]:
        """A worker for each connection: least sessions, then least CPU, then in turn.

        Those that are stuck in a request come after all others; nobody gets more than its
        descriptors allow. Shorter than ``count`` when there is no room for all.
        """
        now = time.monotonic()
        self.look(now)
        weighed = [(one.weigh(self._limit, staff), one) for one in takers]
        able = [(load, one) for load, one in weighed if load < one.most]
        able = [(load, one) for load, one in able if not one.stalled(now)] or able
        size = len(able)
        heap = [
            (load, worker.row.cpu_permille, (place - self._turn) % size, worker)
            for place, (load, worker) in enumerate(able)
        ]
        if count == 1 and heap:
            self._turn += 1
            return [min(heap)[3]]
        heapq.heapify(heap)
        chosen: list[Worker] = []
        while heap and len(chosen) < count:
            load, cpu, turn, worker = heap[0]
            chosen.append(worker)
            if load + 1 < worker.most:
                heapq.heapreplace(heap, (load + 1, cpu, turn, worker))
            else:
                heapq.heappop(heap)
        self._turn += len(chosen)
        return chosen

    def _send(self, worker: Worker, ids: list[int], share: list[Arrival], outcome: Outcome) -> bool:
        """Send one worker its share; False when it takes none, and the claims are given back."""
        offer = share[0].offer
        payload = channel.pack_ids([0, *ids, offer] if offer else ids)
        try:
            channel.send_fds(worker.intake, payload, [arrival.fd for arrival in share])
        except OSError as error:
            for session in ids:
                self._table.release(session)
            # The supervisor will tell that a dead worker is down; until then it is full too.
            worker.full = True
            if error.errno not in _GONE:
                outcome.choked.append(worker)
                outcome.scarce = outcome.scarce or error.errno != errno.EAGAIN
            return False
        worker.row.assigned += len(ids)
        for arrival in share:
            os.close(arrival.fd)
        return True
