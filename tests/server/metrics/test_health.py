"""Verdicts about a server: alive, ready, or why not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from server import snapshot
from server.metrics import health
from server.metrics.health import LIVES, TURNS
from server.snapshot import Snapshot
from shm.census import Moment
from shm.segment import Segment
from shm.states import Phase, WorkerState

NOW = Moment(1_795_000_100.0, 5000.0)
ACCEPTOR, FIRST, SECOND = 60, 70, 71


@pytest.fixture
def server(segment_name: str) -> Iterator[Segment]:
    """A server that is ready, with room for two more workers."""
    made = Segment.create(segment_name, capacity=16, workers=2, spare=2)
    header = made.header
    header.phase, header.supervisor_turned = Phase.RUNNING, NOW.monotonic
    header.acceptor_pid, header.acceptor_state = ACCEPTOR, WorkerState.READY
    for row, pid in zip(made.rows[:2], (FIRST, SECOND), strict=True):
        row.pid, row.state = pid, WorkerState.READY
    del header, row
    yield made
    made.close()


def shown(server: Segment) -> Snapshot:
    return snapshot.take(server, "hive", processes=False, now=NOW)


def reason(server: Segment, silences: health.Silences | None = None) -> dict[str, Any]:
    """Why it is not ready, by check."""
    verdict = health.ready(shown(server), silences or {})
    checks = verdict.details["checks"]
    failed = {name: check["reason"] for name, check in checks.items() if check["status"] != "ok"}
    assert verdict.passed == (not failed)
    assert verdict.details["verdict"] == ("not_ready" if failed else "ready")
    json.dumps(verdict.details)
    return failed


def test_a_ready_server(server: Segment) -> None:
    assert reason(server) == {}
    details = health.ready(shown(server), {FIRST: 0.25}).details
    assert details["checks"] == {
        name: {"status": "ok"} for name in ("server", "acceptor", "workers")
    }
    assert details["phase"] == "running"
    assert details["acceptor"] == {"pid": 60, "state": "ready", "silent": 0.0, "storm": False}
    assert details["workers"][0] == {
        "number": 0,
        "on_duty": True,
        "pid": 70,
        "state": "ready",
        "silent": 0.25,
        "storm": False,
    }


@pytest.mark.parametrize(
    ("phase", "text"),
    [
        (Phase.BOOTING, "the server starts"),
        (Phase.FILLING, "the server starts its workers"),
        (Phase.STOPPING, "the server stops, 3 sessions are left"),
    ],
)
def test_a_server_that_does_not_run(server: Segment, phase: Phase, text: str) -> None:
    server.header.phase = phase
    server.header.claimed = 3
    assert reason(server) == {"server": text}


def test_workers_that_are_not_ready(server: Segment) -> None:
    server.rows[0].state = WorkerState.STARTING
    server.rows[1].state, server.rows[1].pid, server.rows[1].storm = WorkerState.DEAD, 0, 1
    assert reason(server) == {
        "workers": "worker 0 is starting; worker 1 is dead, it dies again and again"
    }


def test_old_workers_that_drain_are_no_reason(server: Segment) -> None:
    for old, new in ((0, 2), (1, 3)):
        server.rows[old].on_duty, server.rows[old].state = 0, WorkerState.DRAINING
        server.rows[new].on_duty, server.rows[new].state = 1, WorkerState.READY
        server.rows[new].pid, server.rows[new].number = 80 + new, old
    assert reason(server) == {}
    server.rows[3].state = WorkerState.DEAD
    assert reason(server) == {"workers": "worker 1 is dead"}


def test_a_worker_that_does_not_turn(server: Segment) -> None:
    assert reason(server, {FIRST: TURNS, ACCEPTOR: TURNS}) == {}
    assert reason(server, {SECOND: 7.4}) == {
        "workers": "the loop of worker 1 has not turned for 7 s"
    }


def test_the_acceptor(server: Segment) -> None:
    assert reason(server, {ACCEPTOR: 6.0}) == {
        "acceptor": "the acceptor's loop has not turned for 6 s"
    }
    server.header.acceptor_state = WorkerState.STARTING
    assert reason(server) == {"acceptor": "the acceptor is starting"}
    server.header.acceptor_state, server.header.acceptor_pid = WorkerState.DEAD, 0
    server.header.acceptor_storm = 1
    assert reason(server) == {"acceptor": "the acceptor is dead, it dies again and again"}


def test_a_supervisor_that_turns(server: Segment) -> None:
    for turned in (0.0, NOW.monotonic - LIVES, NOW.monotonic + 1):
        server.header.supervisor_turned = turned
        verdict = health.live(shown(server))
        assert verdict.passed
        assert verdict.details["verdict"] == "ok"
        assert verdict.details["checks"] == {"supervisor": {"status": "ok"}}


def test_a_supervisor_that_hangs(server: Segment) -> None:
    server.header.supervisor_turned = NOW.monotonic - LIVES - 2
    verdict = health.live(shown(server))
    assert not verdict.passed
    assert verdict.details["verdict"] == "failed"
    text = "its loop has not turned for 12 s"
    assert verdict.details["checks"] == {"supervisor": {"status": "failed", "reason": text}}
    # That is nobody's business who wants to be served.
    assert reason(server) == {}
