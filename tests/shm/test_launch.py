"""An order reaches a fresh process with its sockets; signals and descriptors are settled there."""

from __future__ import annotations

import os
import signal
from dataclasses import FrozenInstanceError

import msgpack
import multiprocess
import pytest

from shm import channel
from shm.launch import ExitCode, LogOrder, WorkerOrder, run

ECHO = "tests.shm.order_echo"


def test_an_order_reaches_a_fresh_process() -> None:
    control, far_control = channel.pair()
    intake, far_intake = channel.pair()
    (first, to_first), (second, to_second) = channel.bus(2)
    with control, far_control, intake, far_intake, first, to_first, second, to_second:
        settings = {"session_results": "new"}
        bus = (second, (to_first, to_second))
        order = WorkerOrder(
            1, 2, "bee", "0.0", "seg", far_control, far_intake, bus, "/app.lua", settings=settings
        )
        process = multiprocess.get_context("spawn").Process(target=run, args=(ECHO, order))
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        process.start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        far_control.close()
        far_intake.close()
        control.settimeout(20)
        told = msgpack.unpackb(control.recv(1000))
        assert intake.recv(1000) == b"intake"
        assert (first.recv(1000), second.recv(1000)) == (b"to row 0", b"to row 1")
        process.join(20)
    assert process.exitcode == 0
    assert told == {
        "parent": os.getpid(),
        "order": [1, 2, "bee", "0.0", "seg", "/app.lua", settings],
        "ignored": ["SIGHUP", "SIGINT"],
        "blocked": [],
        "inheritable": [0, 1, 2],
    }


def test_nothing_begins_when_the_parent_has_hung_up() -> None:
    control, far_control = channel.pair()
    intake, far_intake = channel.pair()
    with far_control, intake, far_intake:
        order = WorkerOrder(0, 1, "bee", "0.0", "seg", far_control, far_intake, (intake, ()), None)
        control.close()
        process = multiprocess.get_context("spawn").Process(target=run, args=(ECHO, order))
        process.start()
        far_intake.close()
        process.join(20)
        assert process.exitcode == ExitCode.STOPPED
        assert intake.recv(1000) == b""


def test_orders_are_frozen_and_have_defaults() -> None:
    left, right = channel.pair()
    with left, right:
        order = WorkerOrder(0, 2, "bee", "0.0", "segment", left, right, (left, (right,)), None)
        assert order.log == LogOrder(level="info", format="plain")
        assert dict(order.settings) == {}
        with pytest.raises(FrozenInstanceError):
            order.index = 1  # type: ignore[misc]


def test_exit_codes_are_distinct() -> None:
    assert [(code.name, code.value) for code in ExitCode] == [
        ("STOPPED", 0),
        ("CRASHED", 1),
        ("CANNOT_BOOT", 3),
        ("RUNAWAY", 4),
    ]
