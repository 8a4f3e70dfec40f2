"""The level of the log, set by an application for all processes."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from tests.helpers.server import DATA, running
from tests.helpers.wait import wait_until
from tests.whole.crews import Crew

WORKERS = 2
LEVELS = "return require('log').level(), box.cfg.log_level"


def test_one_worker_sets_it_for_all(tmp_path: Path) -> None:
    with (
        running(tmp_path, app=DATA / "whole_app.lua", workers=WORKERS) as server,
        contextlib.ExitStack() as stack,
    ):
        crew = Crew(server, stack, WORKERS)
        crew[0].eval("box.cfg{log_level = 'verbose'}")
        wait_until(lambda: crew[1].eval(LEVELS).data == [6, 6], what="the other worker has it")
        crew[1].eval("require('log').verbose('now it is said')")
        assert len(server.lines("worker-1/[0-9]+ V> now it is said")) == 1
        said = "supervisor I> settings changed by an application worker=0 log.level=verbose"
        wait_until(lambda: server.lines(said), what=said)

        _end(server.worker_pids()[1])
        wait_until(lambda: server.lines("worker ended"), what="its end")
        again = Crew(server, stack, WORKERS)
        assert again.everywhere(LEVELS) == [6, 6]

        server.send_signal(signal.SIGHUP)
        wait_until(lambda: server.lines("settings reloaded live=log.level"), what="a reload")
        wait_until(lambda: again[0].eval(LEVELS).data == [5, 5], what="what the settings say")


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
