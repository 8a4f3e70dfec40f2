"""A supervisor that is killed leaves no process; a second server leaves the first one alone."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from tests.faults.conftest import APP, Start
from tests.faults.crowd import working
from tests.helpers.raw import Raw
from tests.helpers.server import alive, refused, sockets_below
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
