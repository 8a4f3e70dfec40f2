"""Everything that metrics are made of, read at one moment.

    segment ---- server.snapshot, shm.headcount ---+
    the system - server.monitor -------------------+--> Reading --> server.metrics.exposition
    catalog ---- server.users ---------------------+

No worker is asked for anything, and nobody waits for this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from server import monitor, snapshot
from server.monitor import Figures, Machine
from server.snapshot import Snapshot
from server.users import Users
from shm import headcount
from shm.census import Moment, listener_names
from shm.headcount import Headcount
from shm.segment import Segment

_READS: Final = 3
"""Attempts to read all processes while none of them ends."""


@dataclass(frozen=True)
class Process:
    """One process of the server; ``worker`` is its number and ``row`` its place, if it is one."""

    role: str
    """supervisor, acceptor, metrics or worker."""
    pid: int
    figures: Figures
    worker: int | None = None
    row: int | None = None


@dataclass(frozen=True)
class Reading:
    """The server at a moment."""

    version: str
    shown: Snapshot
    sessions: Headcount
    users: Mapping[int, str]
    """Names by id, of users that have not been dropped."""
    listeners: Mapping[int, str]
    """Texts of listeners by the index that sessions have."""
    processes: tuple[Process, ...]
    machine: Machine


class Reader:
    """Reads one server, again and again."""

    def __init__(self, segment: Segment, name: str, version: str, catalog: Path) -> None:
        self._segment = segment
        self._name = name
        self._version = version
        self._users = Users(segment, catalog)

    def snapshot(self) -> Snapshot:
        """What the header and the rows say now, which takes no time."""
        return snapshot.take(self._segment, self._name, processes=False, now=Moment.now())

    def read(self) -> Reading:
        """All there is; 15 ms of CPU with 60,000 sessions."""
        shown = self.snapshot()
        return Reading(
            self._version,
            shown,
            headcount.count(self._segment),
            self._users.names(),
            listener_names(self._segment),
            _processes(shown),
            monitor.machine(),
        )


def _processes(shown: Snapshot) -> tuple[Process, ...]:
    """Those that live, without what is dear to ask for; one that ends meanwhile counts once."""
    known: list[tuple[str, int | None, int | None, int | None]] = [
        ("acceptor", shown.acceptor.pid, None, None),
        ("metrics", shown.supervisor.metrics_pid, None, None),
        *(("worker", each.pid, each.number, each.row) for each in shown.workers),
    ]
    supervisor = monitor.figures(shown.facts.pid, uss=False)
    found: tuple[Process, ...] = ()
    for _ in range(_READS):
        found = tuple(
            Process(role, pid, figures, number, row)
            for role, pid, number, row in known
            if pid is not None and (figures := monitor.figures(pid, uss=False)) is not None
        )
        before, supervisor = supervisor, monitor.figures(shown.facts.pid, uss=False)
        if before is None or supervisor is None or before.ended == supervisor.ended:
            break
    if supervisor is None:
        return found
    return (Process("supervisor", shown.facts.pid, supervisor), *found)
