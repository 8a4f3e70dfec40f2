"""An acceptor that is killed: sessions do not notice, newcomers wait for the next one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from tests.faults.conftest import Start
from tests.faults.crowd import working
from tests.helpers.inside import Inside
from tests.helpers.raw import Raw
from tests.helpers.server import Server
from tests.helpers.wait import wait_until

SERVED = 5.0
"""Seconds until who comes meanwhile is served: 0.5 where nothing else runs."""


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
