"""Faults while the server changes: parts die in a reload, in a drain and in the stop."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.faults.conftest import APP, Start
from tests.faults.crowd import working
from tests.helpers.commands import beespace, states, status
from tests.helpers.server import ROOT, Server, environment
from tests.helpers.wait import wait_until

SLOW = """
local clock = require('clock')
local function exists(path)
  local file = io.open(path)
  return file and file:close()
end
local begun = clock.monotonic()
while exists('%s') and clock.monotonic() < begun + 20 do end
"""
WAITS = """
box.ctl.set_on_shutdown_timeout(30)
box.ctl.on_shutdown(function()
  while true do
    local file = io.open('%s')
    if not file then return end
    file:close()
    require('fiber').sleep(0.01)
  end
end)
"""


@contextlib.contextmanager
def reloading(server: Server, slow: Path) -> Iterator[subprocess.Popen[str]]:
    """A reload whose first new worker loads the application as long as there is a file."""
    slow.touch()
    words = [sys.executable, "-m", "server", "reload", "--run-dir", str(server.folder / "run")]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        words, stdout=pipe, stderr=pipe, text=True, env=environment(), cwd=ROOT
    ) as process:
        try:
            wait_until(lambda: "starting" in states(server), 20, "a new worker")
            yield process
        finally:
            slow.unlink(missing_ok=True)
            process.kill()


def test_a_new_worker_that_is_killed_ends_a_reload(
    start: Start, tmp_path: Path, notes: Path
) -> None:
    slow = tmp_path / "slow"
    server = start(workers=2, app=APP % notes + SLOW % slow)
    with working(server) as crowd, reloading(server, slow) as command:
        (new,) = [one for one in status(server)["workers"] if one["state"] == "starting"]
        os.kill(new["pid"], signal.SIGKILL)
        out, error = command.communicate(timeout=20)
        left = set(crowd.pids.values())
        wait_until(
            lambda: {one["pid"] for one in status(server)["workers"]} == left, 10, "the old workers"
        )
        outcome = crowd.end()
    assert (command.returncode, out) == (1, "")
    assert error == "beespace: new worker 0 ended before it was ready: killed by signal 9\n"
    outcome.check(crowd.of(0, 1), [])
    assert outcome.newcomers.failed == []


def test_old_parts_that_are_killed_do_not_end_a_reload(
    start: Start, tmp_path: Path, notes: Path
) -> None:
    """One of the workers that are replaced, and the acceptor, in one moment."""
    slow = tmp_path / "slow"
    server = start(workers=2, app=APP % notes + SLOW % slow)
    with working(server) as crowd, reloading(server, slow) as command:
        os.kill(crowd.pids[0], signal.SIGKILL)
        os.kill(status(server)["acceptor"]["pid"], signal.SIGKILL)
        wait_until(lambda: server.lines("worker ended worker=0"), what="a death")
        slow.unlink()
        out, _ = command.communicate(timeout=30)
        serving = [one for one in status(server)["workers"] if one["state"] == "ready"]
        outcome = crowd.end()
    assert (command.returncode, out) == (0, "reloaded, 2 new workers\n")
    assert not {one["pid"] for one in serving} & set(crowd.pids.values())
    outcome.check(crowd.of(1), crowd.of(0))
    assert len(outcome.newcomers.failed) <= 2, outcome.newcomers.failed


def test_a_worker_that_hangs_while_it_drains(start: Start) -> None:
    settings = {"workers": {"hang_timeout": 3}, "limits": {"request_time": 1}}
    server = start(workers=2, settings=settings)
    with working(server) as crowd:
        assert beespace("reload", run_dir=server.folder / "run").returncode == 0
        os.kill(crowd.pids[0], signal.SIGSTOP)
        wait_until(lambda: server.lines("a worker hangs: killed worker=0"), 20)
        wait_until(lambda: states(server).count("draining") == 1, what="its end")
        outcome = crowd.end()
    outcome.check(crowd.of(1), crowd.of(0))
    assert outcome.newcomers.failed == []
    assert len(server.lines("old worker ended worker=0 reason=it hung: killed by signal 9")) == 1


def test_a_worker_that_is_killed_in_the_stop(start: Start, notes: Path, tmp_path: Path) -> None:
    """The other one runs on_disconnect for its sessions; the log says that it did not stop."""
    waits = tmp_path / "waits"
    waits.touch()
    settings = {"process": {"stop_timeout": 30}}
    server = start(workers=2, app=APP % notes + WAITS % waits, settings=settings)
    with working(server) as crowd:
        server.send_signal(signal.SIGTERM)
        wait_until(lambda: server.lines("stopping signal=SIGTERM"), what="the stop")
        os.kill(crowd.pids[0], signal.SIGKILL)
        wait_until(lambda: server.lines("E> worker ended worker=0"), 20, "its end")
        waits.unlink()
        assert server.process.wait(20) == 0
        lost = crowd.of(0)
    ended = [line.split() for line in notes.read_text().splitlines()]
    died = sorted(int(session) for session, _, reason in ended if reason == "worker_died")
    assert set(lost) <= set(died)
    # The crowd's, and perhaps that of a visitor.
    killed = r"E> worker ended worker=0 reason=killed by signal 9 sessions=[67]\b"
    assert len(server.lines(killed)) == 1
