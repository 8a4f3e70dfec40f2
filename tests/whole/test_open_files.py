"""A low open-files limit: connections wait, none is lost, and the server can be worked with."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from tests.helpers.raw import GREETING_SIZE, Raw
from tests.helpers.server import Server
from tests.helpers.wait import wait_until
from tests.whole.conftest import Start

ROOM = 40
"""Sessions of a worker."""
LIMIT = 64 + ROOM
LINE = "open-files limit of the workers reached"


def served(clients: list[Raw]) -> list[Raw]:
    """Those that have been greeted, or have been told anything."""
    return [one for one in clients if not one.quiet()]


def connected(stack: contextlib.ExitStack, server: Server, count: int) -> list[Raw]:
    return [
        stack.enter_context(Raw(server.address, greet=False, deadline=20)) for _ in range(count)
    ]


def test_connections_wait_and_none_is_lost(start: Start) -> None:
    server = start(workers=2, open_files=LIMIT)
    victim = next(iter(server.worker_pids().values()))
    with contextlib.ExitStack() as stack:
        clients = connected(stack, server, 2 * ROOM + 50)
        wait_until(lambda: len(served(clients)) >= 2 * ROOM, 20, "sessions up to the limit")
        wait_until(lambda: server.lines(LINE), 20, "a line of the log")
        inside = served(clients)
        assert len(inside) == 2 * ROOM
        for one in inside:
            one.take(GREETING_SIZE)
            one.ping()
        # The server's own socket is open all the same.
        with Raw(server.control) as admin:
            assert admin.eval("return box.session.user()").data == ["admin"]
        for one in inside[:30]:
            one.close()
        waiting = [one for one in clients if one not in inside]
        wait_until(lambda: len(served(waiting)) == 30, 20, "sessions in the place of others")
        # A worker can be replaced, and what waits is served in the place of its sessions.
        late = [one for one in waiting if one not in served(waiting)]
        os.kill(victim, signal.SIGKILL)
        for one in late:
            one.take(GREETING_SIZE)
            one.ping()
        wait_until(lambda: server.lines("worker is back"), deadline=20, what="a new worker")
    assert server.lines("connections lost") == [], server.log
    assert 1 <= len(server.lines(LINE)) <= 4


def test_kept_sockets_of_sessions_that_have_ended_count(start: Start) -> None:
    server = start(workers=1, open_files=LIMIT)
    with contextlib.ExitStack() as stack:
        clients = connected(stack, server, ROOM)
        for one in clients:
            one.take(GREETING_SIZE)
            # No length: it is answered, and its socket is kept while the client does not leave.
            one.send(b"\xa5hello")
        more = connected(stack, server, ROOM)
        began = time.monotonic()
        for one in more:
            one.take(GREETING_SIZE)
            one.ping()
        assert time.monotonic() - began < 10
    assert server.lines("connections lost") == [], server.log
