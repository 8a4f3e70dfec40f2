"""Who gets a session: limits of an address over all workers, and of new connections a second."""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import time

import psutil

from tests.helpers.commands import asked
from tests.helpers.raw import GREETING_SIZE, ClosedError, Raw
from tests.helpers.server import Server
from tests.helpers.wait import wait_until
from tests.whole.conftest import Start


def refusal(server: Server) -> str | None:
    """What a new client is told; None when it gets a session."""
    with Raw(server.address) as client:
        try:
            client.ping()
        except ClosedError:
            return ""
        except AssertionError as error:
            return str(error)
    return None


def acceptor(server: Server) -> psutil.Process:
    return next(one for one in server.children() if "acceptor" in " ".join(one.cmdline()))


def limited(**limits: int) -> dict[str, object]:
    return {"session": {"limits": limits}}


def test_an_address_has_its_limit_over_all_workers(start: Start) -> None:
    server = start(workers=3, settings=limited(per_address=6))
    began = time.monotonic()
    text = "session limit of the address reached: 6 of 6 sessions are in use"
    with contextlib.ExitStack() as stack:
        inside = [stack.enter_context(Raw(server.address)) for _ in range(6)]
        for one in inside:
            one.ping()
        for _ in range(3):
            with Raw(server.address) as refused:
                answer = refused.packet()
                assert (answer.code, answer.sync, answer.text) == (104, 0, text)
                refused.wait_closed()
        wait_until(lambda: asked(server, "status")["answer"]["refused"] == 3, 10, "their count")
        other = stack.enter_context(Raw(server.address, source="127.0.0.2"))
        other.ping()
        # It counts what is there also when it has begun anew.
        dead = acceptor(server)
        os.kill(dead.pid, signal.SIGKILL)
        with Raw(server.address, deadline=20) as refused:
            assert refused.packet().text == text
        for one in inside:
            one.ping()
        inside[3].close()
        wait_until(lambda: refusal(server) is None, 10, "room for one more")
    line = r"session limit of an address reached .*refused=[1-9].*limit=6"
    # Each acceptor tells it at once, and then every ten seconds.
    assert 1 <= len(server.lines(line)) <= 2 + (time.monotonic() - began) / 10, server.log


def test_new_connections_wait_and_sessions_do_not(start: Start) -> None:
    server = start(workers=2, settings=limited(accept_rate=10))
    with Raw(server.address) as inside, contextlib.ExitStack() as stack:
        inside.ping()
        began = time.monotonic()
        waiting = [
            stack.enter_context(Raw(server.address, greet=False, deadline=20)) for _ in range(25)
        ]
        took = []
        for one in waiting:
            while one.quiet():
                before = time.monotonic()
                inside.ping()
                took.append(time.monotonic() - before)
            one.take(GREETING_SIZE)
            one.ping()
        # Ten at once at the most, then one each tenth of a second.
        assert time.monotonic() - began > 1.4
        assert statistics.median(took) < 0.05
        told = len(server.lines("accept rate reached"))
        assert 1 <= told <= 1 + (time.monotonic() - began) / 10, server.log
