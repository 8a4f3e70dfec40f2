"""Whether the system finds out that a client is gone: TCP keepalive and TCP_USER_TIMEOUT.

Accepted sockets inherit both from their listener, so the acceptor sets them there, at its start and
when the settings change; what has been accepted before keeps what it had.
"""

from __future__ import annotations

import contextlib
import math
import socket

from server.admission import Admission

_MILLISECONDS = 1000


def prepare(listener: socket.socket, admission: Admission) -> None:
    """Set what the settings say; nothing for a listener that is no TCP socket."""
    if listener.family == socket.AF_UNIX:
        return
    on = admission.keepalive_idle > 0
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, on)
    tcp = {
        # Rounded up: 0 would be no limit at all.
        socket.TCP_USER_TIMEOUT: math.ceil(admission.user_timeout * _MILLISECONDS),
        **(
            {
                socket.TCP_KEEPIDLE: admission.keepalive_idle,
                socket.TCP_KEEPINTVL: admission.keepalive_interval,
                socket.TCP_KEEPCNT: admission.keepalive_count,
            }
            if on
            else {}
        ),
    }
    for option, value in tcp.items():
        # What a system does not have is no reason to refuse clients.
        with contextlib.suppress(OSError):
            listener.setsockopt(socket.IPPROTO_TCP, option, value)
