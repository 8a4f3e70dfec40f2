"""A server at one moment: facts, counters that outlive workers, gauges that do not, processes."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator

import pytest

from server import snapshot
from server.snapshot import Snapshot
from shm import layout
from shm.census import Moment
from shm.segment import Segment
from shm.states import EndReason, Phase, WorkerState

NOW = Moment(1_795_000_100.0, 5000.0)


@pytest.fixture
def wide(segment_name: str) -> Iterator[Segment]:
    """Two workers on duty, and two rows that are free."""
    made = Segment.create(segment_name, capacity=108, workers=2, spare=2)
    made.header.reserved = 8
    yield made
    made.close()


def take(segment: Segment) -> Snapshot:
    return snapshot.take(segment, "hive", processes=False, now=NOW)


def announce(segment: Segment, *names: str) -> None:
    at, size = layout.Header.listener_names.offset, layout.LISTENER_BYTES
    for index, name in enumerate(names):
        segment.memory[at + index * size : at + index * size + len(name)] = name.encode()
    segment.header.listeners = len(names)


def test_facts(wide: Segment) -> None:
    announce(wide, "127.0.0.1:3301", "unix/:/bee", "unix/:/console", "unix/:/control")
    wide.header.first_console, wide.header.consoles, wide.header.control_listener = 2, 1, 3
    facts = take(wide).facts
    assert (facts.name, facts.pid, facts.started) == ("hive", os.getpid(), wide.header.started)
    assert facts.instance == str(uuid.UUID(bytes=bytes(wide.header.instance)))
    assert facts.listeners == ("127.0.0.1:3301", "unix/:/bee")
    assert (facts.consoles, facts.control) == (("unix/:/console",), "unix/:/control")
    assert (facts.max_sessions, facts.reserved) == (100, 8)


def test_a_server_that_has_not_opened_its_sockets(wide: Segment) -> None:
    facts = take(wide).facts
    assert (facts.listeners, facts.consoles, facts.control) == ((), (), None)


def test_workers(wide: Segment) -> None:
    row = wide.rows[1]
    row.pid, row.state, row.generation, row.storm = 77, WorkerState.READY, 3, 1
    row.restarts = 2
    row.cpu_permille, row.loop_time, row.heartbeat, row.started = 125, 2_500_000, 9, 1.5
    row.requests, row.sessions, row.lua_heap = 1 << 40, 12, 5 << 20
    row.ended[EndReason.IDLE], row.lost = 4, 3
    absent, there = take(wide).workers
    assert not absent.storm
    assert (absent.number, absent.pid, absent.state, absent.cpu) == (0, None, "absent", 0.0)
    assert (there.number, there.row, there.pid, there.state) == (1, 1, 77, "ready")
    assert (there.generation, there.on_duty, there.started, there.storm) == (3, True, 1.5, True)
    assert (there.cpu, there.loop_time, there.beat) == (12.5, 0.0025, 9)
    assert there.counters["requests"] == 1 << 40
    assert there.counters["restarts"] == 2
    assert (there.gauges["sessions"], there.gauges["lua_heap"]) == (12, 5 << 20)
    assert (there.ended["idle"], there.ended["worker_died"]) == (4, 3)
    assert set(there.counters) == set(snapshot.COUNTERS)
    assert set(there.gauges) == set(snapshot.GAUGES)


def test_a_worker_that_starts_has_nothing_of_a_dead_one(wide: Segment) -> None:
    row = wide.rows[1]
    row.pid, row.sessions, row.kept, row.loop_time, row.requests = 77, 5, 2, 1000, 9
    for state, factor in ((WorkerState.READY, 1), (WorkerState.STARTING, 0)):
        row.state = state
        (there,) = (each for each in take(wide).workers if each.pid)
        assert there.gauges["sessions"] == 5 * factor
        assert there.loop_time == pytest.approx(1e-6 * factor)
        assert there.counters["requests"] == 9


def test_those_on_duty_come_first_and_free_rows_not_at_all(wide: Segment) -> None:
    for index, number, on_duty in ((0, 1, 0), (1, 0, 0), (2, 1, 1), (3, 0, 1)):
        row = wide.rows[index]
        row.number, row.on_duty, row.pid = number, on_duty, 100 + index
    wide.rows[1].pid = 0
    assert [(each.number, each.row) for each in take(wide).workers] == [(0, 3), (1, 2), (1, 0)]


def test_totals_hold_what_dead_workers_did(wide: Segment) -> None:
    for index, row in enumerate(wide.rows[:4]):
        row.requests, row.sessions, row.freed = 10**index, 5, 2
        row.ended[EndReason.CLIENT] = 2
        row.pid = 0 if index else 55
    wide.rows[2].reclaimed, wide.rows[2].on_duty = 3, 0
    wide.header.claimed, wide.header.released = 20, 1
    totals = take(wide).totals
    assert (totals.counters["requests"], totals.ended["client"]) == (1111, 8)
    assert totals.gauges["sessions"] == 5
    assert totals.sessions == 20 - 1 - 8 - 3


def test_sessions_are_never_less_than_none(wide: Segment) -> None:
    wide.rows[0].freed = 1
    assert take(wide).totals.sessions == 0


def test_the_supervisor(wide: Segment) -> None:
    assert take(wide).supervisor == snapshot.Supervisor("booting", None, None, 0)
    header = wide.header
    header.phase, header.supervisor_turned = Phase.RUNNING, NOW.monotonic - 1.5
    header.metrics_pid, header.metrics_restarts = 88, 2
    assert take(wide).supervisor == snapshot.Supervisor("running", 1.5, 88, 2)


def test_the_acceptor(wide: Segment) -> None:
    told = take(wide).acceptor
    assert (told.pid, told.state, told.storm) == (None, "absent", False)
    header = wide.header
    header.acceptor_state, header.acceptor_storm = WorkerState.READY, 1
    header.acceptor_pid, header.acceptor_restarts, header.last_id = 66, 1, 1 << 40
    header.acceptor_turns, header.refused, header.proxy_late = 12, 7, 8
    told = take(wide).acceptor
    assert (told.pid, told.restarts, told.last_id, told.turns) == (66, 1, 1 << 40, 12)
    assert (told.state, told.storm) == ("ready", True)
    assert (told.counters["refused"], told.counters["proxy_late"]) == (7, 8)
    assert set(told.counters) == set(snapshot.ACCEPTED)


def test_every_counter_of_a_row_is_told() -> None:
    told = {*snapshot.COUNTERS, *snapshot.GAUGES, "heartbeat", "loop_time", "ended"}
    # Ids of processes and marks for the supervisor and others, which count nothing.
    inner = {"stopped_pid", "lost_begun", "buried", "alarm", "inbox_lock", "bases"}
    of_worker = layout.ROW.groups[2:]
    assert {field.name for group in of_worker for field in group} == (told | inner) - {
        "assigned",
        "reclaimed",
        "restarts",
    }


def test_processes(wide: Segment) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with process:
        wide.rows[1].pid = process.pid
        wide.header.acceptor_pid = 4_000_000
        taken = snapshot.take(wide, "hive")
        process.communicate(b"\n")
    roles = [(each.role, each.name, each.worker, each.pid) for each in taken.processes]
    assert roles[:2] == [
        ("supervisor", "supervisor", None, os.getpid()),
        ("worker", "worker 1", 1, process.pid),
    ]
    assert {role for role, *_ in roles[2:]} <= {"other"}
    assert taken.processes[0].figures.rss > 1 << 20
