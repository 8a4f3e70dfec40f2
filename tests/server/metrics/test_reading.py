"""Processes of a server as metrics tell of them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server import monitor
from server.metrics.reading import Process, Reader
from shm.catalog.store import FILE, Store
from shm.segment import Segment
from tests.helpers.wait import wait_until


@pytest.fixture
def reader(segment: Segment, tmp_path: Path) -> Reader:
    Store.make(tmp_path / FILE, durable=False).close()
    return Reader(segment, "hive", "1.2.3", tmp_path / FILE)


def test_processes(reader: Reader, segment: Segment) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with process:
        segment.rows[0].pid, segment.rows[0].number = process.pid, 7
        segment.header.metrics_pid = os.getppid()
        segment.header.acceptor_pid = 4_000_000

        def found() -> dict[str, Process]:
            return {each.role: each for each in reader.read().processes}

        wait_until(lambda: found()["worker"].figures.rss > 1 << 20, what="its memory")
        told = found()
        process.communicate(b"\n")
    assert list(told) == ["supervisor", "metrics", "worker"]
    assert (told["supervisor"].pid, told["metrics"].pid) == (os.getpid(), os.getppid())
    worker = told["worker"]
    assert (worker.pid, worker.worker, worker.row) == (process.pid, 7, 0)
    # Going through all memory of a process would make it wait.
    assert {each.figures.uss for each in told.values()} == {None}


def test_a_process_that_ends_meanwhile_counts_once(
    reader: Reader, segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment.rows[0].pid = 4_000_001
    real = monitor.figures(os.getpid(), uss=False)
    assert real is not None
    looks: list[int] = []

    def figures(pid: int, **_: Any) -> monitor.Figures | None:
        """The worker has used 5 seconds when it ends, between two looks at the supervisor."""
        looks.append(pid)
        over = looks.count(os.getpid()) >= 2
        if pid == os.getpid():
            return replace(real, user=1.0, cpu=1.0, ended=(5.0 if over else 0.0, 0.0))
        return None if over else replace(real, user=5.0, cpu=5.0)

    monkeypatch.setattr(monitor, "figures", figures)
    processes = reader.read().processes
    user = sum(each.figures.user for each in processes)
    assert user + processes[0].figures.ended[0] == 6.0
    assert [each.role for each in processes] == ["supervisor"]


def test_a_server_whose_supervisor_is_gone(reader: Reader, segment: Segment) -> None:
    segment.header.supervisor_pid = 4_000_000
    assert reader.read().processes == ()
