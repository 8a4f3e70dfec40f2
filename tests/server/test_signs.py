"""What the supervisor says in the segment: its phase and beat, its acceptor, who dies too often."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from server.crew import Crew
from server.loop import Loop
from server.porter import Porter
from server.restart import STORM, History, decide
from shm import logs
from shm.segment import Segment
from shm.sessions import SessionTable
from shm.states import Phase, WorkerState
from tests.helpers.wait import wait_until
from tests.server.conftest import STARTS_WITHIN, Served, below
from tests.server.test_crew import Audience
from tests.server.test_supervisor import View, end

Serve = Callable[..., Served]

NO_MODULE = "no.module"
NOBODY: Any = None


def refuse(*_: object) -> Any:
    raise OSError("no order")


def test_phases_and_the_acceptor(serve: Serve) -> None:
    server = serve("--workers", "1", orders="deaf")
    server.ready()
    with View(server) as view:
        assert Phase(view.segment.header.phase) is Phase.RUNNING
        assert WorkerState(view.segment.header.acceptor_state) is WorkerState.READY
        turned = view.segment.header.supervisor_turned
        assert 0 < turned <= time.monotonic()
        wait_until(lambda: view.segment.header.supervisor_turned > turned, what="the next turn")
        before = int(view.segment.header.acceptor_pid)
        os.kill(before, signal.SIGSTOP)
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: view.segment.header.acceptor_pid not in (0, before), STARTS_WITHIN)
        wait_until(lambda: view.segment.header.acceptor_state == WorkerState.READY, STARTS_WITHIN)
        # The worker does not stop when it is asked to.
        os.kill(server.pid, signal.SIGTERM)
        wait_until(lambda: view.segment.header.phase == Phase.STOPPING, what="the stop")
        assert view.segment.header.acceptor_state in (WorkerState.STOPPING, WorkerState.DEAD)
    os.kill(server.pid, signal.SIGTERM)
    assert server.exit_code(10) == 0


def test_a_server_that_starts(serve: Serve) -> None:
    server = serve("--workers", "1", orders="hang")
    wait_until(lambda: len(below(server.pid)) > 1, STARTS_WITHIN, "tracker and worker")
    with View(server) as view:
        wait_until(lambda: view.segment.header.supervisor_turned > 0, what="the loop")
        assert Phase(view.segment.header.phase) is Phase.BOOTING
        assert view.segment.header.acceptor_state == WorkerState.ABSENT
    end(server)


def test_a_worker_that_dies_again_and_again(segment: Segment, table: SessionTable) -> None:
    loop = Loop()
    crew = Crew(loop, segment, table, logs.get(), Audience(), NO_MODULE, refuse)
    post, row = crew._posts[0], segment.rows[0]
    crew._start_again(post, was_ready=True, code=1, freed=0)
    assert row.storm == 0
    post.history = History((time.monotonic(),) * STORM)
    crew._start_again(post, was_ready=True, code=1, freed=0)
    assert row.storm == 1
    loop.close()


def test_an_acceptor_that_dies_again_and_again(segment: Segment) -> None:
    loop = Loop()
    porter = Porter(loop, segment, logs.get(), NOBODY, NO_MODULE, refuse)
    porter._start_later(decide(History((time.monotonic(),)), was_ready=True))
    assert segment.header.acceptor_storm == 0
    porter._start_later(decide(History((time.monotonic(),) * STORM), was_ready=True))
    assert segment.header.acceptor_storm == 1
    loop.close()
