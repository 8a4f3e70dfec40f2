"""Figures of the running processes: the only file that asks the operating system (psutil).

The supervisor samples the CPU of its workers once a second and writes it into their rows, where
the acceptor finds it. Commands that show a server take a :class:`Snapshot`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from shm.segment import Segment
from shm.states import WorkerState

_PERMILLE_OF_PERCENT = 10


class CpuSampler:
    """CPU use of a changing set of processes, each since it was last asked for."""

    def __init__(self) -> None:
        self._known: dict[int, psutil.Process | None] = {}

    def sample(self, pids: Mapping[int, int]) -> dict[int, int]:
        """Thousandths of one core by key, for ``pids`` (key to process id).

        A process seen for the first time, or gone, has 0.
        """
        self._known = {pid: self._known.get(pid) for pid in pids.values()}
        return {key: self._permille(pid) for key, pid in pids.items()}

    def _permille(self, pid: int) -> int:
        try:
            process = self._known[pid] or psutil.Process(pid)
            self._known[pid] = process
            return round(process.cpu_percent(None) * _PERMILLE_OF_PERCENT)
        except psutil.Error:
            return 0


@dataclass(frozen=True)
class WorkerFigures:
    """One worker at one moment; memory in bytes, CPU in thousandths of one core."""

    index: int
    pid: int
    state: WorkerState
    restarts: int
    cpu_permille: int
    sessions: int
    requests: int
    memory: int


@dataclass(frozen=True)
class Snapshot:
    """A server at one moment; ``started`` in seconds since the epoch."""

    started: float
    supervisor_pid: int
    acceptor_pid: int
    capacity: int
    last_id: int
    refused: int
    workers: tuple[WorkerFigures, ...]


def snapshot(segment: Segment) -> Snapshot:
    """What the segment and the operating system say now."""
    header = segment.header
    rows = [segment.rows[index] for index in range(header.workers)]
    workers = tuple(
        WorkerFigures(
            index=index,
            pid=row.pid,
            state=WorkerState(row.state),
            restarts=row.restarts,
            cpu_permille=row.cpu_permille,
            sessions=row.sessions,
            requests=row.requests,
            memory=_memory(row.pid),
        )
        for index, row in enumerate(rows)
    )
    return Snapshot(
        started=header.started,
        supervisor_pid=header.supervisor_pid,
        acceptor_pid=header.acceptor_pid,
        capacity=header.capacity,
        last_id=header.last_id,
        refused=header.refused,
        workers=workers,
    )


def _memory(pid: int) -> int:
    """Resident memory, 0 when there is no such process."""
    try:
        return int(psutil.Process(pid).memory_info().rss) if pid else 0
    except psutil.Error:
        return 0
