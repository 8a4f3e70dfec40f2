"""Watches the rows of a server's segment: which workers there are, who drains, and who dies.

A thread of the soak's own process; faults ask it whom they can hit.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any, Final

from shm.states import SlotState, WorkerState
from tests.helpers.closing import Closing
from tests.helpers.inside import Inside
from tests.soak.ledger import Ledger

PERIOD: Final = 0.02
"""Seconds between two looks."""


@dataclass(frozen=True)
class Worker:
    """One worker as its row has it."""

    row: int
    pid: int
    number: int
    state: WorkerState
    on_duty: bool


class Lookout(Closing):
    """Looks again and again, and tells the ledger who drains and who dies."""

    def __init__(self, inside: Inside, ledger: Ledger) -> None:
        self._inside = inside
        self._ledger = ledger
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def workers(self) -> list[Worker]:
        """All workers that run."""
        segment = self._inside.segment
        rows = [(index, segment.rows[index]) for index in range(segment.header.workers)]
        return [_worker(index, row) for index, row in rows if row.pid]

    def acceptor(self) -> int:
        """Its process, 0 while there is none."""
        return self._inside.acceptor

    def metrics(self) -> int:
        """Process of the metrics, 0 while there is none."""
        return int(self._inside.segment.header.metrics_pid)

    def closing(self, row: int) -> set[int]:
        """Sessions of a worker whose on_disconnect has begun."""
        return {
            session.id
            for session in self._inside.table.sessions()
            if session.worker == row and session.state == SlotState.CLOSING
        }

    def lost_running(self, row: int) -> int:
        """Lost sessions whose on_disconnect has begun in a worker and is not over."""
        return int(self._inside.segment.rows[row].lost_running)

    def _watch(self) -> None:
        served: set[int] = set()
        looked = time.monotonic()
        while not self._over.wait(PERIOD):
            before, looked = looked, time.monotonic()
            workers = self.workers()
            for worker in workers:
                if worker.state in (WorkerState.DRAINING, WorkerState.STOPPING):
                    # Since the last look, which may be long ago on a busy machine.
                    self._ledger.drains.setdefault(worker.pid, before)
            for pid in served - {worker.pid for worker in workers}:
                self._ledger.death(pid)
            served = {
                worker.pid
                for worker in workers
                if worker.on_duty and worker.state == WorkerState.READY
            }


def _worker(index: int, row: Any) -> Worker:
    return Worker(index, int(row.pid), int(row.number), WorkerState(row.state), bool(row.on_duty))
