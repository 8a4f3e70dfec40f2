"""What was done to a server, so that what clients saw can be judged; pure.

A worker is *struck* from the moment a fault hits it until its end: its sessions may be cut. A
worker that *drains* may end its sessions, in good order, once workers.drain_timeout is over. For
who does not know its worker (it was not greeted) there are *windows* in which processes died.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from tests.soak.record import Record

SLACK: Final = 0.5
"""Seconds that a fault may be seen before it is noted, or a drain before it is told."""
LOCKED: Final = "its holder hangs"
"""In errors of those who waited for a lock, for a second at most."""
FALL: Final = 3.0
"""Seconds until all clients of a process that died have seen it."""


@dataclass
class Ledger:
    """Everything that was done."""

    struck: dict[int, float] = field(default_factory=dict)
    """Process of a worker, and when a fault hit it."""
    drains: dict[int, float] = field(default_factory=dict)
    """Process of a worker, and when it began to drain."""
    windows: list[tuple[float, float]] = field(default_factory=list)
    """When some process that had connections was struck, and when the last one can have noticed."""
    pressed: set[int] = field(default_factory=set)
    """Processes of workers whose memory somebody took."""
    stills: list[tuple[float, float]] = field(default_factory=list)
    """From when to when a worker was stopped, perhaps with a lock that all of them need."""
    in_doubt: set[int] = field(default_factory=set)
    """Sessions whose on_disconnect had begun in a worker when it was killed."""
    lost_in_doubt: int = 0
    """Lost sessions whose on_disconnect had begun in a worker when it was killed."""
    deaths: list[int] = field(default_factory=list)
    """Processes of workers that ended though nothing was done to them."""
    without_metrics: list[float] = field(default_factory=list)
    """When the process of the metrics was killed."""
    done: Counter[str] = field(default_factory=Counter)
    """How often each fault happened; "skipped" are those that found nobody."""

    def strike(self, pid: int, time: float, lasts: float) -> None:
        """A fault ends the worker within ``lasts`` seconds."""
        self.struck.setdefault(pid, time)
        self.window(time, lasts)

    def window(self, time: float, lasts: float) -> None:
        """Connections may break from now on for some seconds."""
        self.windows.append((time - SLACK, time + lasts + FALL))

    def killed_metrics(self, since: float, until: float) -> bool:
        """Whether the process of the metrics was killed between two times."""
        return any(since <= time <= until for time in self.without_metrics)

    def still(self, time: float, lasts: float) -> None:
        """A worker stands still for some seconds."""
        self.stills.append((time - SLACK, time + lasts + SLACK))

    def death(self, pid: int) -> None:
        """A worker that served is no more."""
        if pid not in self.struck and pid not in self.drains:
            self.deaths.append(pid)

    def excuses(self, record: Record, drain_timeout: float) -> bool:
        """Whether what was done explains the bad end of a connection.

        A worker that is killed cuts connections, but answers nothing wrong: a failure needs another
        worker that was struck, or one that drains or was short of memory.
        """
        if any(LOCKED in text for text in record.failed):
            return any(begin <= record.ended <= end for begin, end in self.stills)
        own = {record.pid} - {0}
        others = set(record.also) - {0}
        suspects = own | others if record.cut else others
        if any(self._explains(pid, record.ended, drain_timeout) for pid in suspects):
            return True
        if record.failed:
            drained = any(self._drained(pid, record.ended, drain_timeout) for pid in own)
            return drained or bool(self.pressed & own)
        return not record.pid and self._was_unsafe(record.began, record.ended, drain_timeout)

    def _was_unsafe(self, began: float, ended: float, drain_timeout: float) -> bool:
        """Whether something happened to some process between two times."""
        ends = [time + drain_timeout for time in self.drains.values()]
        windows = [*self.windows, *((end - SLACK, end + FALL) for end in ends)]
        return any(begin <= ended and began <= end for begin, end in windows)

    def _explains(self, pid: int, time: float, drain_timeout: float) -> bool:
        if pid in self.struck and time >= self.struck[pid] - SLACK:
            return True
        return self._drained(pid, time, drain_timeout)

    def _drained(self, pid: int, time: float, drain_timeout: float) -> bool:
        return pid in self.drains and time >= self.drains[pid] + drain_timeout - SLACK


def unexcused(records: Iterable[Record], ledger: Ledger, drain_timeout: float) -> list[Record]:
    """Connections that went wrong though nothing was done to their workers."""
    wrong = (record for record in records if record.cut or record.failed)
    return [record for record in wrong if not ledger.excuses(record, drain_timeout)]
