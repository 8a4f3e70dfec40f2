"""The open-files limit: every session is a descriptor in its worker.

The supervisor raises the soft limit to the hard one before it starts children, which inherit it.
Pure but for :func:`raise_open_files` and :func:`open_files`.
"""

from __future__ import annotations

import resource
from typing import Final

from server.errors import ServerError

RESERVE: Final = 64
"""Descriptors that a worker has besides its sessions, at least."""
OWN: Final = 19
"""Those that a worker has open itself, and one for every row; the rest is the application's."""
GROWTH: Final = 16
"""Descriptors that an application may open in a second without a session going without."""
STAFF_GROWTH: Final = 4
"""The same when the session is a console or one of the server's own sockets."""
PER_ROW: Final = 8
"""Descriptors of the supervisor for a row that has a worker, generously: two of them when not."""
SUPERVISOR: Final = 48
"""Its others, with those in reserve."""


def open_files() -> int:
    """The limit of this process, which its children have too."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def session_room(limit: int, others: int, *, staff: bool) -> int:
    """Sessions a worker can hold when ``others`` of its descriptors are no session's."""
    if staff:
        return limit - others - STAFF_GROWTH
    return limit - max(RESERVE, others + GROWTH)


def raise_open_files() -> int:
    """Raise the soft limit to the hard limit; the limit that holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            return soft
    return hard


def check_open_files(limit: int, sessions: int, workers: int, rows: int) -> str | None:
    """A warning when ``limit`` cannot hold all sessions, None when it can.

    ServerError when the server could not even start, or not bring ``rows`` workers up while they
    change. Sessions are taken as evenly spread.
    """
    floor = SUPERVISOR + PER_ROW * rows
    if limit < floor:
        raise ServerError(
            f"open files: got a limit of {limit}, expected at least {floor} for {workers} workers, "
            f"at times {rows} (ulimit -Hn, workers.max)"
        )
    share = -(-sessions // workers)
    reserve = max(RESERVE, OWN + rows + GROWTH)
    wanted = share + reserve
    if limit >= wanted:
        return None
    room = max(limit - reserve, 0)
    return (
        f"open-files limit {limit} holds {room * workers} sessions, "
        f"{room} a worker; session.limits.total={sessions} is {share} a worker "
        f"and needs {wanted} (ulimit -Hn)"
    )
