"""box.session.history over all workers: orderly ends, and those of a worker that was killed."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Any

from tests.helpers.raw import Raw
from tests.helpers.wait import wait_until
from tests.whole.conftest import Start, await_gone
from tests.whole.crews import Crew

MINE = "return box.session.id(), box.workers.id(), box.info.pid"


def of(client: Raw, session: int) -> dict[str, Any] | None:
    """The record of one session."""
    (rows,) = client.eval("return box.session.history{id = ...}", session).data
    assert len(rows) <= 1
    return rows[0] if rows else None


def test_ends_are_told_by_any_worker(start: Start) -> None:
    server = start(workers=2)
    with contextlib.ExitStack() as stack:
        crew = Crew(server, stack, 2)
        one, two = crew[0], crew[1]
        first, worker, _ = one.eval(MINE).data
        one.eval("box.session.set_name('bee')")
        name = one.name
        one.close()
        await_gone(two, first)
        row = of(two, first)
    assert row is not None
    assert (row["worker"], row["name"], row["peer"], row["reason"]) == (
        worker,
        "bee",
        name,
        "client",
    )
    assert (row["requests"], row["user"]) == (3, "guest")


def test_those_of_a_killed_worker(start: Start) -> None:
    server = start(workers=2)
    with contextlib.ExitStack() as stack:
        crew = Crew(server, stack, 2)
        one, two = crew[0], crew[1]
        first, worker, pid = one.eval(MINE).data
        one.eval("box.session.set_attr('k', 'v')")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: of(two, first), 10, "the session is in the history")
        row = of(two, first)
    assert row is not None
    assert (row["worker"], row["reason"]) == (worker, "worker_died")
    assert (row["attrs"], row["requests"]) == ({"k": "v"}, 3)
