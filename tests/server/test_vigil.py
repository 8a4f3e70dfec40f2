"""Processes that hang, with stand-in workers: they are killed, replaced, and the log says so."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from tests.helpers.wait import wait_until
from tests.server.conftest import STARTS_WITHIN, Served
from tests.server.test_supervisor import View, end

Serve = Callable[..., Served]
SOON = {"BEESPACE_WORKERS_HANG_TIMEOUT": "2", "BEESPACE_WORKERS_START_TIMEOUT": "2"}


def test_a_worker_and_an_acceptor_that_are_stopped(serve: Serve) -> None:
    # Longer than the other worker may stand still on a busy machine.
    environment = {"BEESPACE_WORKERS_HANG_TIMEOUT": "4", "BEESPACE_WORKERS_START_TIMEOUT": "60"}
    (server := serve("--workers", "2", environment=environment)).ready()
    with View(server) as view:
        worker, acceptor = view.pids()[0], view.pid_of("acceptor")
        for pid in (worker, acceptor):
            os.kill(pid, signal.SIGSTOP)
        server.wait_for(
            f"E> a worker hangs: killed worker=0 pid={worker} silent=[45]s process=stopped"
        )
        server.wait_for(f"E> the acceptor hangs: killed pid={acceptor} silent=[45]s")
        server.wait_for("worker is back worker=0")
        wait_until(lambda: view.is_another("acceptor", (0, acceptor)), STARTS_WITHIN)
    server.connect()[0].close()
    assert len(server.lines("hangs: killed")) == 2
    end(server)


def test_a_worker_that_never_gets_ready(serve: Serve) -> None:
    server = serve("--workers", "2", orders="hang", environment=SOON)
    assert server.exit_code(STARTS_WITHIN) == 1
    server.wait_for(r"E> a worker is not ready in time: killed worker=0 pid=\d+ silent=[23]s")
    why = "it took too long to start: killed by signal 9"
    assert server.output.splitlines()[-1] == f"beespace: worker 0 ended before it was ready: {why}"
