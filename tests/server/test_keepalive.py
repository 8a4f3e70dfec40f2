"""Options of the listeners: accepted sockets have them."""

from __future__ import annotations

import socket

import pytest

from server import keepalive
from server.admission import Admission


def options(end: socket.socket) -> tuple[int, ...]:
    tcp = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
    found = [end.getsockopt(socket.IPPROTO_TCP, option) for option in tcp]
    return end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), *found


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_accepted_sockets_inherit(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        before = options(listener)
        keepalive.prepare(listener, Admission(keepalive_idle=33, user_timeout=1.5))
        with socket.create_connection(listener.getsockname()[:2]), listener.accept()[0] as end:
            assert options(end) == (1, 33, 15, 4, 1500)
        changed = Admission(keepalive_idle=7, keepalive_interval=8, keepalive_count=9)
        keepalive.prepare(listener, changed)
        assert options(listener) == (1, 7, 8, 9, 0)
        keepalive.prepare(listener, Admission(user_timeout=0.0001))
        assert options(listener)[4] == 1
        keepalive.prepare(listener, Admission())
        assert (options(listener)[0], options(listener)[4]) == (0, 0) == (before[0], before[4])


def test_unix_sockets_are_left_alone() -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        keepalive.prepare(listener, Admission(keepalive_idle=33, user_timeout=1.5))
