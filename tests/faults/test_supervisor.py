"""A supervisor that is killed leaves no process; a second server leaves the first one alone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.conftest import APP, Start
from tests.faults.crowd import working
from tests.helpers.commands import states
from tests.helpers.inside import Inside
from tests.helpers.raw import Raw
from tests.helpers.server import Server, alive, refused, sockets_below
from tests.helpers.wait import wait_until

ENDED = 5.0
"""Seconds until nothing of it is left: 0.1 where nothing else runs."""


def same_folders(folder: Path) -> list[str]:
    return ["--run-dir", str(folder / "run"), "--data-dir", str(folder / "data")]


def test_a_second_server_is_refused_and_a_killed_one_leaves_nothing(
    start: Start, tmp_path: Path
) -> None:
    server = start(workers=2)
    below = server.children()
    with working(server) as crowd:
        arguments = same_folders(server.folder)
        code, text = refused(tmp_path, app=APP % "/dev/null", arguments=arguments)
        assert code == 1
        assert f"process {server.pid} runs there" in text.splitlines()[-1]
        killed = time.monotonic()
        server.send_signal(signal.SIGKILL)
        server.process.wait(5)
        wait_until(lambda: not alive(below), 10, "end of all processes", longest=0.005)
        took = time.monotonic() - killed
        outcome = crowd.end()
    print(f"no process left after {took:.3f} s")
    assert took < ENDED
    outcome.check([], crowd.of(0, 1))
    left = sockets_below(server.folder)
    assert left

    successor = start(workers=1, arguments=arguments)
    told = successor.lines("W> removed what a killed server left")
    assert all(str(path) in "".join(told) for path in left), told
    with Raw(successor.address) as client:
        client.ping()
    successor.stop()
    assert sockets_below(server.folder) == []


SLEEPS = """
local ffi = require('ffi')
if io.open('{slow}') then ffi.cdef('int usleep(unsigned);') ffi.C.usleep(20000000) end
"""


def test_not_even_processes_that_stand_still_or_load_outlive_it(
    start: Start, look: Callable[[Server], Inside], tmp_path: Path
) -> None:
    """They cannot see that it has gone, and would keep the address of the next server."""
    slow = tmp_path / "slow"
    server = start(workers=2, app=APP % "/dev/null" + SLEEPS.format(slow=slow))
    inside = look(server)
    with working(server) as crowd:
        slow.touch()
        server.send_signal(signal.SIGHUP)
        wait_until(lambda: "starting" in states(server), 10, "a new worker")
        below = server.children()
        os.kill(inside.acceptor, signal.SIGSTOP)
        os.kill(crowd.pids[0], signal.SIGSTOP)
        killed = time.monotonic()
        server.send_signal(signal.SIGKILL)
        server.process.wait(5)
        wait_until(lambda: not alive(below), 10, "end of all processes", longest=0.005)
        took = time.monotonic() - killed
        outcome = crowd.end()
    print(f"no process left after {took:.3f} s")
    assert took < ENDED
    outcome.check([], crowd.of(0, 1))

    slow.unlink()
    listen = [f"127.0.0.1:{server.port}"]
    successor = start(workers=1, listen=listen, arguments=same_folders(server.folder))
    with Raw(successor.address) as client:
        client.ping()
