"""Snapshots as tests of the live screen want them: one server with three workers, two moments."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from server import snapshot
from server.monitor import Figures
from server.snapshot import Acceptor, Facts, Process, Snapshot, Supervisor, Totals, Worker
from shm.census import SessionRow

START = 1_795_000_000.0
FACTS = Facts(
    "hive",
    100,
    START,
    "uuid",
    "boot",
    ("127.0.0.1:3301",),
    (),
    None,
    max_sessions=65536,
    reserved=8,
)


def worker(number: int, requests: int, **changed: Any) -> Worker:
    """A ready one; ``requests`` are counted since its start, as bytes tenfold."""
    counters = dict.fromkeys(snapshot.COUNTERS, 0)
    counters |= {"requests": requests, "bytes_in": 10 * requests, "bytes_out": 40 * requests}
    gauges = dict.fromkeys(snapshot.GAUGES, 0) | {"sessions": 2, "lua_heap": 5 << 20, "fibers": 3}
    made = Worker(
        number=number,
        row=number,
        pid=200 + number,
        state="ready",
        on_duty=True,
        generation=1,
        storm=False,
        started=START,
        cpu=25.0,
        beat=requests,
        loop_time=0.0025,
        counters=counters,
        gauges=gauges,
        ended=dict.fromkeys(snapshot.REASONS, 0),
    )
    return replace(made, **changed)


def session(number: int, requests: int, **changed: Any) -> SessionRow:
    """A live one of guest."""
    made = SessionRow(
        id=number,
        type="binary",
        user="guest",
        uid=0,
        peer=f"127.0.0.1:{50000 + number}",
        listener="127.0.0.1:3301",
        worker=number % 2,
        state="live",
        connected=START,
        age=75.0,
        idle=0.25,
        requests=requests,
        in_flight=1,
        bytes_in=2048,
        bytes_out=1 << 20,
        pending_out=0,
        inbox_bytes=0,
        name=None,
        attrs={},
        reason=None,
    )
    return made._replace(**changed)


def process(
    role: str, name: str, number: int | None, pid: int, cpu: float, **changed: Any
) -> Process:
    """One with 50 MiB; ``cpu`` seconds were used since its start."""
    figures = Figures("sleeping", cpu, 50 << 20, 40 << 20, 4, 30, 1000, 10)
    return Process(role, name, number, pid, replace(figures, **changed))


def shot(
    seconds: float, *, workers: tuple[Worker, ...], sessions: tuple[SessionRow, ...]
) -> Snapshot:
    """The server so many seconds after its start; each worker uses half of a core."""
    counters = dict.fromkeys(snapshot.ACCEPTED, 0) | {"claimed": int(10 * seconds), "refused": 3}
    names = {each.number: each for each in workers}
    return Snapshot(
        time=START + seconds,
        monotonic=seconds,
        facts=FACTS,
        supervisor=Supervisor("running", 0.5, None, 0),
        acceptor=Acceptor(101, "ready", False, 0, 9, 9, counters),
        workers=workers,
        totals=Totals(
            len(sessions),
            {name: sum(each.counters[name] for each in workers) for name in snapshot.COUNTERS},
            {name: sum(each.gauges[name] for each in workers) for name in snapshot.GAUGES},
            dict.fromkeys(snapshot.REASONS, 0),
        ),
        processes=(
            process("supervisor", "supervisor", None, 100, 0.0),
            *(
                process("worker", f"worker {each.number}", each.number, each.pid, seconds / 2)
                for each in names.values()
                if each.pid
            ),
        ),
        sessions=sessions,
    )


def before() -> Snapshot:
    """A minute after the start."""
    return shot(
        60.0,
        workers=(worker(0, 1000), worker(1, 500), worker(2, 700)),
        sessions=(session(1, 900), session(2, 100)),
    )


def after() -> Snapshot:
    """Four seconds later: worker 1 has died, worker 2 stands still, session 3 is new."""
    return shot(
        64.0,
        workers=(
            worker(0, 9000),
            worker(1, 500, pid=None, state="dead", storm=True, cpu=0.0, loop_time=0.0),
            worker(2, 700),
        ),
        sessions=(
            session(1, 8900),
            session(2, 100, state="closing", reason="killed"),
            session(3, 4, user=None, uid=33, name="batch", type="console", peer="unix/:(socket)"),
        ),
    )
