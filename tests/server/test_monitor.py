"""Figures of processes: CPU in thousandths, snapshots, processes that are gone."""

from __future__ import annotations

import os
import subprocess
import sys

from server.monitor import CpuSampler, snapshot
from shm.segment import Segment
from shm.states import WorkerState
from tests.helpers.wait import wait_until


def test_a_busy_process_shows() -> None:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    sampler = CpuSampler()
    try:
        assert sampler.sample({1: process.pid}) == {1: 0}
        wait_until(lambda: sampler.sample({1: process.pid})[1] > 100, what="CPU use")
    finally:
        process.kill()
        process.wait()
    assert sampler.sample({1: process.pid}) == {1: 0}
    assert sampler.sample({}) == {}


def test_a_snapshot(segment: Segment) -> None:
    row = segment.rows[1]
    row.pid, row.state, row.restarts = os.getpid(), WorkerState.READY, 3
    row.sessions, row.requests, row.cpu_permille = 5, 100, 250
    del row
    segment.header.last_id = 77
    segment.header.refused = 2
    taken = snapshot(segment)
    assert (taken.capacity, taken.last_id, taken.refused) == (8, 77, 2)
    assert taken.supervisor_pid == os.getpid()
    absent, worker = taken.workers
    assert (absent.pid, absent.state, absent.memory) == (0, WorkerState.ABSENT, 0)
    assert (worker.pid, worker.state, worker.restarts) == (os.getpid(), WorkerState.READY, 3)
    assert (worker.sessions, worker.requests, worker.cpu_permille) == (5, 100, 250)
    assert worker.memory > 1_000_000
