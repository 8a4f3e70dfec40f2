"""Time limits of sessions over real connections, with two workers."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.raw import Raw, ping
from tests.helpers.server import Server, running
from tests.helpers.wait import wait_until
from tests.whole.crews import Crew
from tests.whole.test_reload import configure, reload

APP = """
box.session.on_disconnect(function()
  require('log').info('it ended: %s', box.session.reason())
end)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path, app=APP, workers=2, settings={}) as made:
        yield made


def await_ends(server: Server, count: int) -> None:
    """Open connections and wait until each has ended by itself."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Raw(server.address)) for _ in range(count)]
        for client in clients:
            client.wait_closed()


def test_idle_sessions_of_all_workers_end(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        crew = Crew(server, stack, 2)
        configure(server, {"session": {"users": {"guest": {"idle_timeout": 0.4}}}})
        reload(server, "settings reloaded live=session.users")
        for number in (0, 1):
            crew[number].wait_closed()
    await_ends(server, 8)
    line = "I> closing connection 127.0.0.1:[0-9]+: idle for 0.4 second"
    wait_until(lambda: len(server.lines(line)) >= 10, 10, "a line for each")
    wait_until(lambda: len(server.lines("it ended: idle")) >= 10, 10, "on_disconnect of each")


def test_who_never_asks_is_closed(server: Server) -> None:
    configure(server, {"session": {"login_timeout": 0.4}})
    reload(server, "settings reloaded live=session.login_timeout")
    with Raw(server.address, first=ping(0)) as client:
        assert client.packet().sync == 0
        await_ends(server, 8)
        client.ping()


def test_old_sessions_end_one_after_the_other(server: Server) -> None:
    configure(server, {"session": {"max_age": 4, "max_age_jitter": 0.9}})
    reload(server, "settings reloaded live=session.max_age,session.max_age_jitter")
    await_ends(server, 20)
    line = r"([0-9:.]+) .*I> closing connection .*: session.max_age is 4 second"
    wait_until(lambda: len(server.lines(line)) == 20, 10, "a line for each")
    times = {found.split()[1] for found in server.lines(line)}
    assert len(times) > 5


def test_a_change_in_one_worker_holds_in_the_other(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        crew = Crew(server, stack, 2)
        crew[0].eval("box.internal.session.idle_timeout_set('guest', 0.3)")
        await_ends(server, 8)
        for number in (0, 1):
            crew[number].ping()


def test_workers_that_start_later_know_it(server: Server) -> None:
    pids = server.worker_pids()
    with Raw(server.address) as client:
        number = client.eval("return box.info.worker.id").data[0]
        client.eval("box.internal.session.idle_timeout_set('guest', 0.3)")
        os.kill(pids[1 - number], signal.SIGKILL)
        wait_until(lambda: server.lines("worker is back"), 20, "another worker")
        await_ends(server, 8)
        reload(server, "reload: done")
        await_ends(server, 8)
        client.ping()
