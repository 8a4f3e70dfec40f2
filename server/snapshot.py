"""A server at one moment: its facts, counters and processes, read without asking it anything.

    segment --take()--> Snapshot     two of them --server.rates--> what happens each second

Counters of a row go on when its process is replaced, so all sums here hold what dead workers did,
too. Gauges are those of workers that have a process. What is called a worker's number is what
people see, its row is where it is in the table. :mod:`server.onlooker` finds the segment for who
looks from outside; inside the supervisor it is at hand.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from server import monitor
from server.monitor import Figures
from shm.census import Moment, SessionRow, listener_names
from shm.layout import NO_LISTENER
from shm.segment import Segment
from shm.states import EndReason, Phase, WorkerState

COUNTERS: Final = (
    "requests",
    "pings",
    "calls",
    "evals",
    "selects",
    "auths",
    "others",
    "errors",
    "slow",
    "wrong_logins",
    "refused_logins",
    "bytes_in",
    "bytes_out",
    "protocol_errors",
    "queued_ever",
    "streams_ever",
    "assigned",
    "freed",
    "reclaimed",
    "restarts",
    "jit_traces",
    "jit_aborts",
)
"""Fields of a worker's row that only grow."""
GAUGES: Final = (
    "sessions",
    "in_progress",
    "queued",
    "streams",
    "fibers",
    "lua_heap",
    "kept",
    "own_fds",
    "lost_running",
)
"""Fields of a worker's row that come and go; 0 for one without a process."""
ACCEPTED: Final = (
    "claimed",
    "released",
    "refused",
    "accept_errors",
    "refused_address",
    "rate_waits",
    "room_waits",
    "proxy_untrusted",
    "proxy_malformed",
    "proxy_late",
)
"""Fields of the header that the acceptor counts."""
REASONS: Final = tuple(each.name.lower() for each in EndReason if each)

_TRACKER: Final = "resource tracker"
"""Python's, which removes the segment of a supervisor that was killed."""
_NANO: Final = 1e-9
_PERMILLE: Final = 10
"""Thousandths of a core in a hundredth."""


@dataclass(frozen=True)
class Facts:
    """What does not change while a server runs."""

    name: str
    pid: int
    """The supervisor's."""
    started: float
    """Seconds since the epoch."""
    instance: str
    """UUID that the greeting tells."""
    boot: str
    """Random, another one after every start."""
    listeners: tuple[str, ...]
    consoles: tuple[str, ...]
    control: str | None
    max_sessions: int
    """Of clients; the run directory's sockets have ``reserved`` more."""
    reserved: int


@dataclass(frozen=True)
class Supervisor:
    """Who started the server."""

    phase: str
    """booting, filling (workers start), running or stopping."""
    silence: float | None
    """Seconds since its loop turned; None before its first turn."""
    metrics_pid: int | None
    """Process that answers for metrics."""
    metrics_restarts: int


@dataclass(frozen=True)
class Worker:
    """One row that has a worker, or is meant to have one."""

    number: int
    row: int
    pid: int | None
    state: str
    """starting, ready, draining, stopping, dead or absent."""
    on_duty: bool
    """False for one that drains, or is new and not yet in the place of an old one."""
    generation: int
    """Which loading of the application it runs."""
    storm: bool
    """It dies again and again."""
    started: float
    """Of this process, seconds since the epoch."""
    cpu: float
    """Per cent of one core, as the supervisor saw it within the last seconds."""
    beat: int
    """Turns of its loop; one that stands still hangs."""
    loop_time: float
    """Longest recent turn of its loop, seconds."""
    counters: Mapping[str, int]
    gauges: Mapping[str, int]
    ended: Mapping[str, int]
    """Sessions by the reason of their end."""


@dataclass(frozen=True)
class Acceptor:
    """Who takes connections."""

    pid: int | None
    state: str
    """starting, ready, dead or absent."""
    storm: bool
    """It dies again and again."""
    restarts: int
    last_id: int
    """Newest session id."""
    turns: int
    """Turns of its loop; it waits for connections in between."""
    counters: Mapping[str, int]


@dataclass(frozen=True)
class Totals:
    """Sums over all rows, also those that have no worker any more."""

    sessions: int
    """In the table."""
    counters: Mapping[str, int]
    gauges: Mapping[str, int]
    ended: Mapping[str, int]


@dataclass(frozen=True)
class Process:
    """One process of the server."""

    role: str
    """supervisor, acceptor, metrics, worker or other."""
    name: str
    """As people call it: ``worker 3``; the title of the process for others."""
    worker: int | None
    """Number of the worker."""
    pid: int
    figures: Figures


@dataclass(frozen=True)
class Snapshot:
    """The whole server."""

    time: float
    """Seconds since the epoch."""
    monotonic: float
    facts: Facts
    supervisor: Supervisor
    acceptor: Acceptor
    workers: tuple[Worker, ...]
    """By number, those on duty first."""
    totals: Totals
    processes: tuple[Process, ...] = ()
    """Supervisor, acceptor, metrics, workers, others."""
    sessions: tuple[SessionRow, ...] = ()
    """Those that were asked for."""


def take(
    segment: Segment,
    name: str,
    *,
    processes: bool = True,
    sessions: tuple[SessionRow, ...] = (),
    now: Moment | None = None,
) -> Snapshot:
    """The server of this segment, now; without figures of its ``processes`` it is cheaper."""
    moment = now or Moment.now()
    header = segment.header
    rows = segment.rows[: header.workers]
    told = [_worker(index, row) for index, row in enumerate(rows)]
    workers = [worker for worker in told if worker.pid or worker.on_duty]
    workers.sort(key=lambda worker: (not worker.on_duty, worker.number, worker.row))
    acceptor = _acceptor(header)
    shown = Snapshot(
        moment.time,
        moment.monotonic,
        facts(segment, name),
        _supervisor(header, moment),
        acceptor,
        tuple(workers),
        _totals(acceptor, told),
        sessions=sessions,
    )
    if not processes:
        return shown
    return Snapshot(**{**vars(shown), "processes": _processes(shown)})


def facts(segment: Segment, name: str) -> Facts:
    """What the header says for as long as the server runs."""
    header, names = segment.header, listener_names(segment)
    control = int(header.control_listener)
    first = int(header.first_console)
    clients = range(first) if control != NO_LISTENER else range(0)
    return Facts(
        name=name,
        pid=int(header.supervisor_pid),
        started=float(header.started),
        instance=str(uuid.UUID(bytes=bytes(header.instance))),
        boot=bytes(header.boot_id).hex(),
        listeners=tuple(names[index] for index in clients),
        consoles=tuple(names[index] for index in segment.consoles),
        control=names[control] if control != NO_LISTENER else None,
        max_sessions=segment.capacity - int(header.reserved),
        reserved=int(header.reserved),
    )


def _supervisor(header: Any, now: Moment) -> Supervisor:
    turned = float(header.supervisor_turned)
    return Supervisor(
        phase=Phase(header.phase).name.lower(),
        silence=max(now.monotonic - turned, 0.0) if turned else None,
        metrics_pid=int(header.metrics_pid) or None,
        metrics_restarts=int(header.metrics_restarts),
    )


def _worker(index: int, row: Any) -> Worker:
    pid = int(row.pid)
    # Until a new process has begun, the row tells what a dead one had.
    there = pid and row.state != WorkerState.STARTING
    return Worker(
        number=int(row.number),
        row=index,
        pid=pid or None,
        state=WorkerState(row.state).name.lower(),
        on_duty=bool(row.on_duty),
        generation=int(row.generation),
        storm=bool(row.storm),
        started=float(row.started),
        cpu=int(row.cpu_permille) / _PERMILLE if pid else 0.0,
        beat=int(row.heartbeat),
        loop_time=int(row.loop_time) * _NANO if there else 0.0,
        counters={name: int(getattr(row, name)) for name in COUNTERS},
        gauges={name: int(getattr(row, name)) if there else 0 for name in GAUGES},
        ended=ended(row),
    )


def ended(row: Any) -> dict[str, int]:
    """Sessions of a row of the segment that have ended, by reason; those of dead workers, too."""
    found = {name: int(row.ended[EndReason[name.upper()]]) for name in REASONS}
    found[EndReason.WORKER_DIED.name.lower()] += int(row.lost)
    return found


def _acceptor(header: Any) -> Acceptor:
    return Acceptor(
        pid=int(header.acceptor_pid) or None,
        state=WorkerState(header.acceptor_state).name.lower(),
        storm=bool(header.acceptor_storm),
        restarts=int(header.acceptor_restarts),
        last_id=int(header.last_id),
        turns=int(header.acceptor_turns),
        counters={name: int(getattr(header, name)) for name in ACCEPTED},
    )


def _totals(acceptor: Acceptor, workers: list[Worker]) -> Totals:
    counters = {name: sum(each.counters[name] for each in workers) for name in COUNTERS}
    over = acceptor.counters["released"] + counters["freed"] + counters["reclaimed"]
    return Totals(
        # Counters of several processes, read one after the other.
        sessions=max(acceptor.counters["claimed"] - over, 0),
        counters=counters,
        gauges={name: sum(each.gauges[name] for each in workers) for name in GAUGES},
        ended={name: sum(each.ended[name] for each in workers) for name in REASONS},
    )


def _processes(shown: Snapshot) -> tuple[Process, ...]:
    """All processes that live, with their figures."""
    known: list[tuple[str, str, int | None, int | None]] = [
        ("supervisor", "supervisor", None, shown.facts.pid),
        ("acceptor", "acceptor", None, shown.acceptor.pid),
        ("metrics", "metrics", None, shown.supervisor.metrics_pid),
    ]
    known += [("worker", f"worker {each.number}", each.number, each.pid) for each in shown.workers]
    ours = {pid for *_, pid in known}
    others = monitor.children(shown.facts.pid)
    known += [("other", _called(title), None, pid) for pid, title in others if pid not in ours]
    return tuple(
        Process(role, name, number, pid, found)
        for role, name, number, pid in known
        if pid is not None and (found := monitor.figures(pid)) is not None
    )


def _called(title: str) -> str:
    """A short name of one of the other processes."""
    return _TRACKER if _TRACKER.replace(" ", "_") in title else title
