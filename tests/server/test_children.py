"""One child: its channel, its end, what it must not inherit."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from collections.abc import Iterator

import pytest

from server import children, ends
from server.children import Child
from server.spare import Spare
from shm import channel
from shm.launch import WorkerOrder
from tests.helpers.wait import wait_until

MODULE = "tests.server.child_module"


def order(index: int, intake: socket.socket, control: socket.socket) -> WorkerOrder:
    return WorkerOrder(index, 1, "bee", "0", "none", control, intake, (intake, (intake,)), None)


@pytest.fixture
def intake() -> Iterator[socket.socket]:
    left, right = channel.pair()
    yield left
    left.close()
    right.close()


def start(intake: socket.socket, exit_code: int = 0) -> Child:
    return children.start(
        "child", MODULE, lambda control: order(exit_code, intake, control), Spare(0)
    )


def ended(child: Child, deadline: float = 10.0) -> int | None:
    assert select.select([child], [], [], deadline)[0], "still running"
    return child.exit_code()


def test_a_child_talks_and_ends(intake: socket.socket) -> None:
    main = sys.modules["__main__"]
    child = start(intake, exit_code=7)
    assert sys.modules["__main__"] is main
    assert "PYTHONSAFEPATH" not in os.environ
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
    assert child.exit_code() is None
    received = wait_until(child.control.receive, 10)
    assert received is not None
    told = received[0]
    assert told["pid"] == child.pid
    assert told["main"] == "__main__"
    assert [name for name in told["modules"] if name.split(".")[0] == "server"] == []
    child.control.send({"op": "stop"})
    assert ended(child) == 7
    child.kill()
    child.close()


def test_a_killed_child(intake: socket.socket) -> None:
    child = start(intake)
    child.kill()
    code = ended(child)
    assert code == -9
    assert ends.describe(code) == "killed by signal 9"
    child.close()


def test_a_child_that_does_not_listen_yet_is_ended_by_a_signal(intake: socket.socket) -> None:
    child = start(intake)
    ends.stop(child)
    assert ended(child) in (-signal.SIGTERM, 0)
    child.close()


def test_a_process_that_outlives_the_child_does_not_hide_its_end(intake: socket.socket) -> None:
    child = start(intake)
    wait_until(child.control.receive, 10)
    child.control.send({"op": "leave a process"})
    assert ended(child) == 0
    received = wait_until(child.control.receive, 10)
    assert received is not None
    with pytest.raises(channel.ChannelClosedError):
        child.control.receive()
    os.kill(received[0]["left"], signal.SIGKILL)
    child.close()
