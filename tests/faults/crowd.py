"""The load of tests.faults.load, held by a test: who is where, and what became of whom."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.faults.load import Record
from tests.helpers.server import ROOT, Server, environment

SESSIONS = 12


@dataclass
class Crowd:
    """Sessions that work."""

    process: subprocess.Popen[str]
    workers: dict[int, int] = field(default_factory=dict)
    """Worker by session id."""
    pids: dict[int, int] = field(default_factory=dict)
    """Process by worker."""

    def of(self, *workers: int) -> list[int]:
        """Session ids of some workers."""
        return [session for session, worker in self.workers.items() if worker in workers]

    def end(self) -> Outcome:
        """Let it end; what it has seen."""
        output, _ = self.process.communicate(timeout=30)
        told = json.loads(output)
        sessions = {int(session): Record(**each) for session, each in told["sessions"].items()}
        return Outcome(sessions, Record(**told["newcomers"]))


@dataclass(frozen=True)
class Outcome:
    """What became of sessions, by id, and of those that came and left."""

    sessions: dict[int, Record]
    newcomers: Record

    def check(self, unharmed: list[int], ended: list[int]) -> None:
        """AssertionError unless those are unharmed, and these saw the end and no error."""
        assert sorted([*unharmed, *ended]) == sorted(self.sessions)
        for session, record in self.sessions.items():
            assert record.failed == [], session
            assert record.answered > 0, session
            assert (record.closed is not None) == (session in ended), session

    def gap(self, sessions: list[int]) -> float:
        """Longest time that one of them has waited for an answer."""
        return max(self.sessions[session].gap for session in sessions)


@contextlib.contextmanager
def working(server: Server, count: int = SESSIONS) -> Iterator[Crowd]:
    """Sessions that work from now on, evenly spread over the workers."""
    host, port = server.address
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.load", host, str(port), str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=environment(),
        text=True,
    )
    try:
        assert process.stdout is not None
        crowd = Crowd(process)
        for session, worker, pid in json.loads(process.stdout.readline()):
            crowd.workers[session] = worker
            crowd.pids[worker] = pid
        yield crowd
    finally:
        process.kill()
        process.communicate()
