"""What ``beespace top`` shows, as texts: a function of two snapshots. Pure.

    before, after, View --frame()--> Frame: a head, a grid of workers, a grid of sessions

``before`` is None for the first look: then there are no rates. :mod:`server.top.plain` writes a
frame as lines, :mod:`server.top.screen` shows it on a terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from server import rates
from server.harmless import clean
from server.rates import Rates
from server.snapshot import Process, Snapshot, Worker
from server.top import amounts
from shm.census import SessionRow

NONE: Final = "-"
SILENCE: Final = 3.0
"""Seconds without a turn of the supervisor's loop, or of a worker's, that are worth a word."""


@dataclass(frozen=True)
class Grid:
    """Texts in columns. ``left`` are the columns that are aligned left; ``keys`` name the rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    keys: tuple[int, ...]
    left: frozenset[str]


@dataclass(frozen=True)
class Frame:
    """One picture."""

    head: tuple[str, ...]
    workers: Grid
    sessions: Grid
    requests: float
    """A second, of the whole server."""


def frame(before: Snapshot | None, after: Snapshot, mark: Snapshot | None = None) -> Frame:
    """The server ``after``, and what has happened since ``before``.

    ``mark`` is an older look, far enough back to tell of a loop that it has not turned; without it
    that is ``before``.
    """
    found = None if before is None else rates.between(before, after)
    known = {} if before is None or found is None else {each.id: each for each in before.sessions}
    return Frame(
        _head(after, found),
        _workers(after, found, _still(mark or before, after)),
        _sessions(after, known, found),
        0.0 if found is None else found.totals["requests"],
    )


def _head(now: Snapshot, found: Rates | None) -> tuple[str, ...]:
    facts, totals = now.facts, now.totals
    each_second = None if found is None else found.totals
    accepted = None if found is None else found.acceptor
    lines = (
        (
            facts.name,
            _phase(now),
            f"process {facts.pid}",
            f"up {amounts.span(now.time - facts.started)}",
            ", ".join(facts.listeners),
        ),
        (
            f"sessions {totals.sessions:,} of {facts.max_sessions:,}",
            f"new/s {_of(accepted, 'claimed', amounts.count)}",
            f"refused {amounts.count(_refused(now))}",
            f"requests/s {_of(each_second, 'requests', amounts.count)}",
            f"errors/s {_of(each_second, 'errors', amounts.count)}",
            f"waiting {amounts.count(totals.gauges['in_progress'])}",
        ),
        (
            f"in/s {_of(each_second, 'bytes_in', amounts.size)}",
            f"out/s {_of(each_second, 'bytes_out', amounts.size)}",
            f"cpu {_cpu_of_all(found)}",
            f"rss {amounts.size(sum(each.figures.rss for each in now.processes))}",
            f"workers {sum(each.on_duty for each in now.workers)}",
            f"restarts {totals.counters['restarts']}",
        ),
    )
    return tuple("  ".join(line) for line in lines)


def _phase(now: Snapshot) -> str:
    """What the server does, and what is wrong with those that keep it up."""
    told = [now.supervisor.phase]
    if (now.supervisor.silence or 0) > SILENCE:
        told.append(f"supervisor silent for {amounts.span(now.supervisor.silence or 0)}")
    if now.acceptor.state != "ready":
        told.append(f"acceptor {now.acceptor.state}")
    return ", ".join(told)


def _refused(now: Snapshot) -> int:
    counters = now.acceptor.counters
    return counters["refused"] + counters["refused_address"]


def _cpu_of_all(found: Rates | None) -> str:
    if found is None:
        return NONE
    return f"{sum(each.cpu for each in found.processes.values()):.0f}%"


def _still(before: Snapshot | None, after: Snapshot) -> frozenset[int | None]:
    """Processes of workers whose loop has not turned between two looks that are far apart."""
    if before is None or after.monotonic - before.monotonic < SILENCE:
        return frozenset()
    beats = {each.pid: each.beat for each in before.workers}
    return frozenset(each.pid for each in after.workers if beats.get(each.pid) == each.beat)


def _workers(now: Snapshot, found: Rates | None, still: frozenset[int | None]) -> Grid:
    processes = {each.pid: each for each in now.processes}
    columns: dict[str, Callable[[Worker], str]] = {
        "worker": lambda each: str(each.number),
        "pid": lambda each: str(each.pid or NONE),
        "state": lambda each: _state(each, each.pid in still),
        "process": lambda each: _status(processes.get(each.pid or 0)),
        "cpu%": lambda each: _cpu(each, found),
        "rss": lambda each: _rss(processes.get(each.pid or 0)),
        "sessions": lambda each: f"{each.gauges['sessions']:,}",
        "req/s": lambda each: _of(_row(each, found), "requests", amounts.count),
        "in/s": lambda each: _of(_row(each, found), "bytes_in", amounts.size),
        "out/s": lambda each: _of(_row(each, found), "bytes_out", amounts.size),
        "loop": lambda each: f"{each.loop_time * 1000:.1f}ms" if each.pid else NONE,
        "lua": lambda each: amounts.size(each.gauges["lua_heap"]),
        "fibers": lambda each: amounts.count(each.gauges["fibers"]),
    }
    return Grid(
        tuple(columns),
        tuple(tuple(write(each) for write in columns.values()) for each in now.workers),
        tuple(each.row for each in now.workers),
        frozenset({"state", "process"}),
    )


def _state(worker: Worker, is_still: bool) -> str:
    told = [worker.state]
    told += ["new"] if not worker.on_duty and worker.state in ("starting", "ready") else []
    told += ["dies again and again"] if worker.storm else []
    told += ["stands still"] if worker.pid and is_still else []
    return ", ".join(told)


def _status(process: Process | None) -> str:
    """What the system says; a process that is stopped answers nobody."""
    return NONE if process is None else process.figures.status


def _cpu(worker: Worker, found: Rates | None) -> str:
    known = None if found is None or worker.pid is None else found.processes.get(worker.pid)
    return f"{worker.cpu if known is None else known.cpu:.0f}"


def _rss(process: Process | None) -> str:
    return NONE if process is None else amounts.size(process.figures.rss)


def _row(worker: Worker, found: Rates | None) -> Mapping[str, float] | None:
    return None if found is None else found.workers.get(worker.row)


def _of(found: Mapping[str, float] | None, name: str, write: Callable[[float], str]) -> str:
    return NONE if found is None else write(found[name])


def _sessions(now: Snapshot, before: Mapping[int, SessionRow], found: Rates | None) -> Grid:
    def each_second(row: SessionRow) -> str:
        old = before.get(row.id)
        if old is None or found is None:
            return NONE
        return amounts.count((row.requests - old.requests) / found.seconds)

    columns: dict[str, Callable[[SessionRow], str]] = {
        "id": lambda row: str(row.id),
        "user": lambda row: f"({row.uid})" if row.user is None else clean(row.user),
        "peer": lambda row: clean(row.peer or NONE),
        "type": lambda row: row.type,
        "worker": lambda row: str(row.worker),
        "state": lambda row: row.state if row.reason is None else f"{row.state}: {row.reason}",
        "age": lambda row: amounts.span(row.age),
        "idle": lambda row: amounts.span(row.idle),
        "requests": lambda row: amounts.count(row.requests),
        "req/s": each_second,
        "in flight": lambda row: str(row.in_flight),
        "in": lambda row: amounts.size(row.bytes_in),
        "out": lambda row: amounts.size(row.bytes_out),
        "pending": lambda row: amounts.size(row.pending_out),
        "name": lambda row: clean(row.name or ""),
    }
    return Grid(
        tuple(columns),
        tuple(tuple(write(row) for write in columns.values()) for row in now.sessions),
        tuple(row.id for row in now.sessions),
        frozenset({"user", "peer", "type", "state", "name"}),
    )
