"""Ends workers and other children that hang, and says what they were doing. Part of the supervisor.

    children, their rows --a look every PERIOD--> server.hang --verdict--> log line, SIGKILL
                                                                |
                                       shm.running: what the worker's memory tells of its request

What follows is a death like any other: slots are freed, another process takes over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from server import hang, monitor
from server.children import Child
from server.hang import Bounds, Seen, Verdict, Watch
from server.loop import Loop
from server.settings import Settings
from server.spare import Spare
from shm import running
from shm.running import Sight
from shm.segment import Segment
from shm.sessions import SessionTable

Wards = Callable[[], Iterable[tuple[int | None, Child]]]
"""Who is watched now: row of the segment, None for who has none, and the process."""

_BEATS: Final = {"acceptor": "acceptor_turns", "metrics": "metrics_turns"}
_NAMES: Final = {"acceptor": "the acceptor", "metrics": "the process of metrics"}


class Vigil:
    """Looks at all children again and again."""

    def __init__(
        self,
        loop: Loop,
        segment: Segment,
        table: SessionTable,
        log: Any,
        wards: Wards,
        spare: Spare,
    ) -> None:
        self._loop = loop
        self._segment = segment
        self._table = table
        self._log = log
        self._wards = wards
        self._spare = spare
        self._watch = Watch()

    def keep(self, bounds: Callable[[], Bounds]) -> None:
        """Look now and from now on; ``bounds`` are asked for at each look.

        Each look is a sign of life in the segment, of the loop that everything here runs in.
        """
        self._segment.header.supervisor_turned = time.monotonic()
        wards = {child.pid: (row, child) for row, child in self._wards()}
        seen = [Seen(pid, self._beat(row, child)) for pid, (row, child) in wards.items()]
        for verdict in self._watch.look(seen, time.monotonic(), bounds()):
            self._end(*wards[verdict.pid], verdict)
        self._loop.after(hang.PERIOD, lambda: self.keep(bounds))

    def silence(self, pid: int) -> float | None:
        """Seconds that a process has been silent at the last look, None when nobody saw it."""
        return self._watch.silence(pid)

    def _beat(self, row: int | None, child: Child) -> int | None:
        if not child.ready:
            return None
        if row is None:
            return int(getattr(self._segment.header, _BEATS[child.role]))
        return int(self._segment.rows[row].heartbeat)

    def _end(self, row: int | None, child: Child, verdict: Verdict) -> None:
        who = {} if row is None else {"worker": int(self._segment.rows[row].number)}
        what = _NAMES[child.role] if row is None else "a worker"
        why = "is not ready in time" if verdict.starting else "hangs"
        with self._spare.lent():
            process = monitor.status(child.pid)
            doing = {} if row is None or verdict.starting else self._doing(child)
        self._log.error(
            f"{what} {why}: killed",
            **who,
            pid=child.pid,
            silent=f"{verdict.silent:.0f}s",
            process=process,
            **doing,
        )
        child.hung = True
        child.kill()

    def _doing(self, child: Child) -> dict[str, Any]:
        """What a worker is busy with, as far as its memory tells."""
        if child.sight is None:
            return {}
        try:
            with running.memory_of(child.pid) as read:
                found = running.look(read, Sight(*child.sight))
        except (OSError, ValueError, IndexError) as error:
            return {"request": f"unknown: {error}"}
        if found is None:
            return {"request": "none"}
        peer = self._table.peer(found.session)
        told = {} if peer is None else {"peer": peer}
        return {"session": found.session, **told, "request": found.request}


def bounds(settings: Settings) -> Bounds:
    """What the settings allow."""
    return Bounds(settings.workers.hang_timeout, settings.workers.start_timeout)
