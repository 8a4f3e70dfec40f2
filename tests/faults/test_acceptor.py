"""An acceptor that is killed or hangs: sessions do not notice, newcomers wait for the next one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from tests.faults.conftest import Start
from tests.faults.crowd import working
from tests.helpers.inside import Inside
from tests.helpers.raw import GREETING_SIZE, Raw
from tests.helpers.server import Server
from tests.helpers.wait import wait_until

SERVED = 5.0
"""Seconds until who comes meanwhile is served: 0.5 where nothing else runs."""


HANG = 3.0
"""Longer than others may stand still on a busy machine."""


def test_a_killed_acceptor(start: Start, look: Callable[[Server], Inside]) -> None:
    server = start(workers=2)
    inside = look(server)
    with working(server) as crowd:
        everybody = crowd.of(0, 1)
        pid = inside.acceptor
        killed = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: inside.acceptor != pid, what="the end of the acceptor")
        with Raw(server.address) as newcomer:
            newcomer.ping()
        served = time.monotonic() - killed
        outcome = crowd.end()
    print(f"a newcomer served after {served:.2f} s, longest visit {outcome.newcomers.gap:.2f} s")
    print(f"longest answer of sessions {outcome.gap(everybody):.3f} s")
    outcome.check(everybody, [])
    assert served < SERVED
    assert outcome.newcomers.gap < SERVED
    # One whose connection the acceptor held when it was killed.
    assert len(outcome.newcomers.failed) <= 1, outcome.newcomers.failed


def test_an_acceptor_that_hangs(start: Start, look: Callable[[Server], Inside]) -> None:
    settings = {"workers": {"hang_timeout": HANG}, "limits": {"request_time": 1}}
    server = start(workers=2, settings=settings)
    inside = look(server)
    with working(server) as crowd:
        everybody = crowd.of(0, 1)
        pid = inside.acceptor
        os.kill(pid, signal.SIGSTOP)
        with Raw(server.address, HANG + SERVED, greet=False) as newcomer:
            newcomer.take(GREETING_SIZE)
            newcomer.ping()
        outcome = crowd.end()
    assert inside.acceptor not in (0, pid)
    assert len(server.lines(f"the acceptor hangs: killed pid={pid} .* process=stopped$")) == 1
    outcome.check(everybody, [])
    assert len(outcome.newcomers.failed) <= 1, outcome.newcomers.failed
