"""What happens each second, from two snapshots of one server. Pure.

    before, after --between()--> Rates, or None when they are not of one server, or of one moment

:mod:`server.snapshot` takes them; whoever shows a server is the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from server.snapshot import Process, Snapshot

_PERCENT = 100


@dataclass(frozen=True)
class ProcessRates:
    """One process, that was there at both moments."""

    cpu: float
    """Per cent of one core."""
    voluntary: float
    """Context switches a second because it waited."""
    involuntary: float
    """Context switches a second because its time was over."""


@dataclass(frozen=True)
class Rates:
    """Everything that is counted, a second; names are those of the snapshots."""

    seconds: float
    """What lies between the two."""
    totals: Mapping[str, float]
    ended: Mapping[str, float]
    acceptor: Mapping[str, float]
    workers: Mapping[int, Mapping[str, float]]
    """By row, those that were there at both moments."""
    processes: Mapping[int, ProcessRates]
    """By process id."""


def between(before: Snapshot, after: Snapshot) -> Rates | None:
    """The rates, or None when there are none."""
    seconds = after.monotonic - before.monotonic
    if before.facts.boot != after.facts.boot or seconds <= 0:
        return None
    rows = {worker.row: worker for worker in before.workers}
    pids = {process.pid: process for process in before.processes}
    return Rates(
        seconds,
        totals=_each(before.totals.counters, after.totals.counters, seconds),
        ended=_each(before.totals.ended, after.totals.ended, seconds),
        acceptor=_each(before.acceptor.counters, after.acceptor.counters, seconds),
        workers={
            worker.row: _each(rows[worker.row].counters, worker.counters, seconds)
            for worker in after.workers
            if worker.row in rows
        },
        processes={
            process.pid: _process(pids[process.pid], process, seconds)
            for process in after.processes
            if process.pid in pids
        },
    )


def _each(before: Mapping[str, int], after: Mapping[str, int], seconds: float) -> dict[str, float]:
    return {name: (count - before[name]) / seconds for name, count in after.items()}


def _process(before: Process, after: Process, seconds: float) -> ProcessRates:
    old, new = before.figures, after.figures
    # A number that the system has given to another process meanwhile used less than the old one.
    return ProcessRates(
        max(new.cpu - old.cpu, 0.0) / seconds * _PERCENT,
        max(new.voluntary - old.voluntary, 0) / seconds,
        max(new.involuntary - old.involuntary, 0) / seconds,
    )
