"""What ``beespace status`` tells of a running server, as plain values that JSON can hold.

    settings, phase, outlooks, silences, segment --report()--> {pid, name, ..., acceptor, workers}

The segment is only read, so nothing here waits for a worker or the acceptor. Times are seconds
since the epoch, ages and waits are seconds from now. :mod:`server.supervisor` is the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from server import snapshot
from server.porter import Porter
from server.post import Post
from server.resources import Resources
from server.restart import Outlook
from server.settings import Settings
from server.surveyor import Surveyor
from shm.segment import Segment
from shm.states import WorkerState


@dataclass(frozen=True)
class Facts:
    """Everything a report is made of."""

    settings: Settings
    version: str
    phase: str
    resources: Resources
    silence: Callable[[int], float | None]
    """Seconds since the loop of a process turned."""
    porter: Porter
    posts: Sequence[Post]
    surveyor: Surveyor


def report(facts: Facts, pid: int, time: float, now: float) -> dict[str, Any]:
    """The whole answer; ``time`` is the epoch's and ``now`` the steady clock's."""
    settings, resources = facts.settings, facts.resources
    header = resources.segment.header
    workers = [_worker(facts, post, now) for post in facts.posts]
    return {
        "pid": pid,
        "name": settings.name,
        "version": facts.version,
        "state": facts.phase,
        "started": float(header.started),
        "uptime": round(max(time - float(header.started), 0), 3),
        "listeners": [str(listener.uri) for listener in resources.listeners],
        "consoles": [str(console.uri) for console in resources.consoles],
        "control": resources.control.path,
        "app": None if settings.app.file is None else str(settings.app.file),
        "run_dir": str(settings.run_dir),
        "data_dir": str(settings.data_dir),
        "catalog": str(resources.catalog),
        "sessions": sum(worker["sessions"] for worker in workers),
        "max_sessions": settings.session.limits.total,
        "refused": int(header.refused + header.refused_address),
        "ended": _ended(resources.segment),
        "metrics": _metrics(facts, now),
        "acceptor": _acceptor(facts, now),
        "workers": workers,
    }


def _ended(segment: Segment) -> dict[str, int]:
    """Sessions that have ended since the start, by reason."""
    rows = [snapshot.ended(row) for row in segment.rows[: segment.header.workers]]
    return {name: sum(row[name] for row in rows) for name in snapshot.REASONS}


def _acceptor(facts: Facts, now: float) -> dict[str, Any]:
    header, porter = facts.resources.segment.header, facts.porter
    pid = int(header.acceptor_pid)
    return {
        "pid": pid or None,
        "state": _state(pid, porter.ready, porter.outlook),
        "restarts": int(header.acceptor_restarts),
        "turned": facts.silence(pid),
        **_past_and_next(porter.outlook, now),
    }


def _metrics(facts: Facts, now: float) -> dict[str, Any] | None:
    """The process of metrics; None when there is to be none."""
    header, surveyor = facts.resources.segment.header, facts.surveyor
    if not facts.resources.metrics:
        return None
    pid = int(header.metrics_pid)
    return {
        "listeners": [str(listener.uri) for listener in facts.resources.metrics],
        "pid": pid or None,
        "state": _state(pid, surveyor.ready, surveyor.outlook),
        "restarts": int(header.metrics_restarts),
        "turned": facts.silence(pid),
        **_past_and_next(surveyor.outlook, now),
    }


def _state(pid: int, ready: bool, outlook: Outlook) -> str:
    """Of a process that is no worker."""
    if pid:
        return "ready" if ready else "starting"
    return "absent" if outlook == Outlook() else "dead"


def _worker(facts: Facts, post: Post, now: float) -> dict[str, Any]:
    row = facts.resources.segment.rows[post.index]
    pid = int(row.pid)
    return {
        "number": post.number,
        "row": post.index,
        "pid": pid or None,
        "state": WorkerState(row.state).name.lower(),
        # Until a new process has begun, the row tells how many a dead one had.
        "sessions": int(row.sessions) if pid and row.state != WorkerState.STARTING else 0,
        "restarts": int(row.restarts),
        "turned": facts.silence(pid),
        **_past_and_next(post.outlook, now),
    }


def _past_and_next(outlook: Outlook, now: float) -> dict[str, Any]:
    ended = {"reason": outlook.reason, "time": outlook.ended} if outlook.reason else None
    start = outlook.next_start
    return {
        "last_end": ended,
        "next_start": None if start is None else round(max(start - now, 0), 3),
        "storm": outlook.storm,
    }
