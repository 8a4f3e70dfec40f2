"""Processes at their open-files limit: what comes waits, what is there goes on, parts are replaced.

The limits of running processes are lowered to what they have in use, so each process meets its
own: workers by the number of sessions, the acceptor, and the supervisor.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.faults.conftest import Start
from tests.faults.crowd import working
from tests.helpers.commands import beespace, status
from tests.helpers.descriptors import in_use, limited
from tests.helpers.inside import Inside
from tests.helpers.raw import Raw
from tests.helpers.server import Server
from tests.helpers.wait import wait_until

Look = Callable[[Server], Inside]

ROOM = 40
"""Sessions of a worker."""
LIMIT = 64 + ROOM
PERIOD = 10.0
"""Seconds between two lines of the log about it."""


def greeted(clients: list[Raw]) -> int:
    return sum(not one.quiet() for one in clients)


def connected(stack: contextlib.ExitStack, server: Server, count: int) -> list[Raw]:
    return [
        stack.enter_context(Raw(server.address, greet=False, deadline=20)) for _ in range(count)
    ]


def times(pattern: str, server: Server, begun: float) -> tuple[int, int]:
    """How often the log said something, and how often it may have since ``begun``."""
    return len(server.lines(pattern)), 1 + int((time.monotonic() - begun) / PERIOD)


@contextlib.contextmanager
def at_its_limit(acceptor: int) -> Iterator[None]:
    """Limited to what it has, and not to what it has while somebody comes in."""
    least = min(in_use(acceptor) for _ in range(100))
    while True:
        with limited(acceptor):
            if resource.prlimit(acceptor, resource.RLIMIT_NOFILE)[0] == least:
                yield
                return


def test_workers_at_their_limit(start: Start) -> None:
    server = start(workers=2, open_files=LIMIT)
    line = "acceptor W> open-files limit of the workers reached"
    with working(server) as crowd, contextlib.ExitStack() as stack:
        begun = time.monotonic()
        clients = connected(stack, server, 2 * ROOM)
        wait_until(lambda: server.lines(line), what="a line of the log")
        waiting = len(clients) - greeted(clients)
        # Strangers of the crowd wait now, too: until somebody leaves, by itself.
        with Raw(server.control) as staff:
            assert staff.eval("return box.session.user()").data == ["admin"]
        for one in [one for one in clients if not one.quiet()][:waiting]:
            one.close()
            clients.remove(one)
        wait_until(lambda: greeted(clients) == len(clients), 20, "sessions for all")
        said, allowed = times(line, server, begun)
        outcome = crowd.end()
    assert waiting > 0
    assert 1 <= said <= allowed
    outcome.check(crowd.of(0, 1), [])
    assert outcome.newcomers.failed == []
    assert server.lines("connections lost") == []


def test_an_acceptor_at_its_limit(start: Start, look: Look) -> None:
    """Staff comes in, guests wait; a worker that dies is replaced; then guests come in."""
    server = start(workers=2)
    acceptor = look(server).acceptor
    line = "acceptor E> cannot accept connections for now"
    with working(server) as crowd, contextlib.ExitStack() as stack:
        begun = time.monotonic()
        with at_its_limit(acceptor):
            clients = connected(stack, server, 10)
            wait_until(lambda: server.lines(line), what="a line of the log")
            assert greeted(clients) == 0
            for _ in range(3):
                with Raw(server.control) as staff:
                    assert staff.eval("return box.session.user()").data == ["admin"]
            assert greeted(clients) == 0
            os.kill(crowd.pids[0], signal.SIGKILL)
            wait_until(lambda: server.lines("worker is back worker=0"), 20)
        for one in clients:
            one.take(128)
        said, allowed = times(line, server, begun)
        outcome = crowd.end()
    assert 1 <= said <= allowed
    outcome.check(crowd.of(1), crowd.of(0))
    assert len(outcome.newcomers.failed) <= 1, outcome.newcomers.failed
    assert look(server).acceptor == acceptor


@pytest.mark.timeout(120)
def test_a_supervisor_at_its_limit(start: Start, look: Look) -> None:
    """It starts others in the place of dead ones, says what a hung one did, and takes commands."""
    settings = {"workers": {"hang_timeout": 3}, "limits": {"request_time": 1}}
    server = start(workers=2, settings=settings)
    inside = look(server)
    acceptor = inside.acceptor
    with working(server) as crowd:
        with limited(server.pid):
            os.kill(crowd.pids[0], signal.SIGKILL)
            wait_until(lambda: server.lines("worker is back worker=0"), 20)
            os.kill(acceptor, signal.SIGKILL)
            wait_until(lambda: status(server)["acceptor"]["restarts"] == 1, 20, "an acceptor")
            wait_until(lambda: status(server)["acceptor"]["state"] == "ready", 20)
            board = beespace("status", run_dir=server.folder / "run")
            done = beespace("reload", run_dir=server.folder / "run")
            newest = max(status(server)["workers"], key=lambda worker: worker["row"])
            os.kill(newest["pid"], signal.SIGSTOP)
            wait_until(lambda: server.lines("a worker hangs: killed"), 20)
            wait_until(lambda: len(server.lines("worker is back")) == 2, 20)
        outcome = crowd.end()
    assert (board.returncode, board.stderr) == (0, "")
    assert (done.returncode, done.stdout) == (0, "reloaded, 2 new workers\n")
    assert server.lines("a worker hangs: killed .* process=stopped request=none")
    outcome.check(crowd.of(1), crowd.of(0))


def test_the_staff_comes_first(start: Start, look: Look) -> None:
    server = start(workers=2)
    acceptor = look(server).acceptor
    with working(server) as crowd, contextlib.ExitStack() as stack:
        os.kill(acceptor, signal.SIGSTOP)
        guests = connected(stack, server, 5)
        staff = stack.enter_context(Raw(server.control, greet=False, deadline=20))
        os.kill(acceptor, signal.SIGCONT)
        for one in (staff, *guests):
            one.take(128)
        numbers = [one.call("box.session.id").data[0] for one in (staff, *guests)]
        outcome = crowd.end()
    assert numbers[0] == min(numbers)
    outcome.check(crowd.of(0, 1), [])
    assert outcome.newcomers.failed == []


def test_guests_who_wait_do_not_take_what_is_kept_for_the_staff(start: Start, look: Look) -> None:
    """No room in the workers, and none in the acceptor either."""
    server = start(workers=2, open_files=LIMIT)
    acceptor = look(server).acceptor
    with contextlib.ExitStack() as stack:
        clients = connected(stack, server, 2 * ROOM)
        wait_until(lambda: greeted(clients) == len(clients), 20, "sessions up to the limit")
        with limited(acceptor):
            os.kill(acceptor, signal.SIGSTOP)
            first = stack.enter_context(Raw(server.control, greet=False))
            waiting = connected(stack, server, 2)
            os.kill(acceptor, signal.SIGCONT)
            first.take(128)
            for _ in range(3):
                with Raw(server.control, deadline=5) as staff:
                    staff.ping()
            assert greeted(waiting) == 0
        for one in (first, *clients[:4]):
            one.close()
        wait_until(lambda: greeted(waiting) == 2, 20, "sessions for those who waited")
