"""What the supervisor says in the segment: its phase and beat, its acceptor, who dies too often."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from server.crew import Crew
from server.loop import Loop
from server.porter import Porter
from server.post import Post
from server.restart import VAIN, Decision
from server.spare import Spare
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


class Mute(Audience):
    """Who hears that a child is ready and does nothing."""

    def worker_ready(self, post: Post) -> None:
        """A worker is."""

    def acceptor_ready(self) -> None:
        """The acceptor is."""


def refuse(*_: object) -> Any:
    raise OSError("no order")


def test_phases_and_the_acceptor(serve: Serve) -> None:
    patient = {"BEESPACE_PROCESS_STOP_TIMEOUT": "60"}
    server = serve("--workers", "1", orders="deaf", environment=patient)
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
        ending = (WorkerState.STOPPING, WorkerState.DEAD)
        wait_until(lambda: view.segment.header.acceptor_state in ending, what="the acceptor's")
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


def dead(*, ready: bool) -> Any:
    """A child that has ended at once."""
    return SimpleNamespace(ready=ready, started=time.monotonic())


def test_a_worker_that_dies_again_and_again(segment: Segment, table: SessionTable) -> None:
    loop = Loop()
    crew = Crew(loop, segment, table, logs.get(), Mute(), NO_MODULE, refuse, Spare(0))
    post, row = crew._posts[0], segment.rows[0]
    crew._start_again(post, dead(ready=True), code=1, facts={})
    assert row.storm == 0
    for _ in range(VAIN):
        crew._start_again(post, dead(ready=False), code=3, facts={})
    assert row.storm == 1
    # Until one is ready, not only while it is waited for the next one.
    crew._is_ready(post, dead(ready=False))
    assert row.storm == 0
    loop.close()


def test_an_acceptor_that_dies_again_and_again(segment: Segment) -> None:
    loop = Loop()
    porter = Porter(loop, segment, logs.get(), cast("Any", Mute()), NO_MODULE, refuse, Spare(0))
    porter._start_later(Decision(0.1, storm=False))
    assert segment.header.acceptor_storm == 0
    porter._start_later(Decision(30.0, storm=True))
    assert segment.header.acceptor_storm == 1
    porter._is_ready(dead(ready=False))
    assert segment.header.acceptor_storm == 0
    loop.close()
