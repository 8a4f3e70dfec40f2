"""A worker as a process of its own: start, serve, stop, and what it says when it cannot."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server import reload
from server.settings import Settings
from shm.channel import Channel
from shm.launch import ExitCode
from shm.segment import Segment
from shm.sessions import SessionTable
from tests.helpers.catalog import seed
from tests.helpers.raw import CALL, GREETING_SIZE, ping, request
from tests.helpers.wait import wait_until

CHILD = Path(__file__).with_name("process_child.py")
ROOT = CHILD.parents[2]
SETTINGS = {
    "max_packet_size": 1 << 20,
    "session_results": "old",
    "jit_log": False,
    **reload.live(Settings()),
    "process.stop_timeout": 1,
}


class Worker:
    """The process with the supervisor's and the acceptor's ends of its channels."""

    def __init__(self, segment: str, app: str = "", settings: dict[str, Any] | None = None) -> None:
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.intake, intake = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control = Channel(control)
        self.folder = tempfile.TemporaryDirectory()
        fds = (theirs.fileno(), intake.fileno())
        self.process = subprocess.Popen(
            [
                sys.executable,
                str(CHILD),
                segment,
                *map(str, fds),
                app,
                json.dumps(SETTINGS if settings is None else settings),
                str(seed(Path(self.folder.name))),
            ],
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
            pass_fds=fds,
            stderr=subprocess.DEVNULL,
        )
        theirs.close()
        intake.close()

    def message(self) -> dict[str, Any]:
        """The next message of the worker."""
        received = wait_until(self.control.receive, 20, "a message of the worker")
        assert received is not None
        return received[0]

    def ended(self) -> int:
        return self.process.wait(20)

    def close(self) -> None:
        self.process.kill()
        self.process.wait(20)
        self.control.socket.close()
        self.intake.close()
        self.folder.cleanup()


@pytest.fixture
def started(segment: Segment) -> Iterator[Worker]:
    worker = Worker(segment.name)
    yield worker
    worker.close()


def connect(worker: Worker, table: SessionTable) -> socket.socket:
    """A greeted session."""
    mine, other = socket.socketpair()
    session = table.claim(b"peer", 0, bytes(20))
    assert session is not None
    socket.send_fds(worker.intake, [struct.pack("<Q", session)], [other.fileno()])
    other.close()
    mine.settimeout(20)
    assert len(mine.recv(GREETING_SIZE, socket.MSG_WAITALL)) == GREETING_SIZE
    return mine


def stop_order(worker: Worker) -> None:
    worker.control.send({"op": "stop"})


def sigterm(worker: Worker) -> None:
    worker.process.send_signal(signal.SIGTERM)


def supervisor_gone(worker: Worker) -> None:
    worker.control.socket.close()


@pytest.mark.parametrize("stop", [stop_order, sigterm, supervisor_gone])
def test_a_worker_serves_and_stops(
    started: Worker, segment: Segment, table: SessionTable, stop: Any
) -> None:
    assert started.message()["op"] == "ready"
    with connect(started, table) as client:
        client.sendall(ping(5))
        assert client.recv(100)[:5] == bytes.fromhex("ce00000018")
        stop(started)

        assert client.recv(100) == b""
    assert started.ended() == ExitCode.STOPPED
    assert (segment.rows[0].sessions, segment.rows[0].freed) == (0, 1)
    assert segment.rows[0].stopped_pid == started.process.pid
    assert list(table.sessions()) == []


def test_signals_of_a_terminal_are_the_supervisors_business(
    started: Worker, table: SessionTable
) -> None:
    started.message()
    for number in (signal.SIGINT, signal.SIGHUP):
        started.process.send_signal(number)
    with connect(started, table) as client:
        client.sendall(ping(5))
        assert client.recv(100)
    assert started.process.poll() is None


@pytest.mark.parametrize(
    ("scheduling", "policy"), [("batch", os.SCHED_BATCH), ("normal", os.SCHED_OTHER)]
)
def test_scheduling_is_as_set(segment: Segment, scheduling: str, policy: int) -> None:
    worker = Worker(segment.name, settings={**SETTINGS, "scheduling": scheduling})
    try:
        assert worker.message()["op"] == "ready"
        assert os.sched_getscheduler(worker.process.pid) == policy
    finally:
        worker.close()


def test_the_heartbeat_moves_without_traffic(started: Worker, segment: Segment) -> None:
    started.message()
    first = segment.rows[0].heartbeat
    wait_until(lambda: segment.rows[0].heartbeat > first, 5, "the heartbeat")


def test_the_application_runs_before_ready(
    segment: Segment, table: SessionTable, tmp_path: Path
) -> None:
    (tmp_path / "part.lua").write_text("return {value = 41}")
    app = tmp_path / "app.lua"
    app.write_text("local part = require('part') function answer() return part.value + 1 end")
    worker = Worker(segment.name, str(app))
    try:
        assert worker.message()["op"] == "ready"
        with connect(worker, table) as client:
            client.sendall(request({0: CALL, 1: 1}, {0x22: "answer"}))
            assert client.recv(100)[-1] == 42
    finally:
        worker.close()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("x =", "app.lua:1: unexpected symbol"),
        ("\nerror('not today')", "app.lua:2: not today"),
        ("require('nosuch')", "module 'nosuch' not found"),
        ("require('beespace.engine.state')", "not found"),
    ],
)
def test_an_application_that_fails(segment: Segment, tmp_path: Path, text: str, part: str) -> None:
    app = tmp_path / "app.lua"
    app.write_text(text)
    worker = Worker(segment.name, str(app))
    try:
        message = worker.message()
        assert message["op"] == "failed"
        assert part in message["error"]
        assert worker.ended() == ExitCode.CANNOT_BOOT
    finally:
        worker.close()


def test_what_cannot_be_opened_is_said(segment: Segment, tmp_path: Path) -> None:
    for name, app, part in (
        ("beespace-nosuch", "", "beespace-nosuch"),
        (segment.name, str(tmp_path / "nosuch.lua"), "nosuch.lua"),
    ):
        worker = Worker(name, app)
        try:
            message = worker.message()
            assert message["op"] == "failed"
            assert part in message["error"]
            assert worker.ended() == ExitCode.CANNOT_BOOT
        finally:
            worker.close()
