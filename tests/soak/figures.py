"""The counters in a server's segment, summed over its workers, at one moment.

The difference of two moments is what the server says it did meanwhile.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from shm.states import EndReason
from tests.helpers.inside import Inside


@dataclass(frozen=True)
class Figures:
    """Counters since the start."""

    sessions: int
    """Claimed, and not taken back by the acceptor itself."""
    refused: int
    requests: int
    errors: int
    buried: int
    """Sessions that were written into the history, by workers and by the supervisor."""
    ended: Counter[str]
    """Sessions that workers ended, by the name of the reason."""

    def since(self, before: Figures) -> Figures:
        """What came on top."""
        return Figures(
            self.sessions - before.sessions,
            self.refused - before.refused,
            self.requests - before.requests,
            self.errors - before.errors,
            self.buried - before.buried,
            self.ended - before.ended,
        )


def take(inside: Inside) -> Figures:
    """The figures now."""
    header = inside.segment.header
    rows = inside.segment.rows[: header.workers]
    ended: Counter[str] = Counter()
    for row in rows:
        ended.update({reason.name.lower(): int(row.ended[reason]) for reason in EndReason})
    return Figures(
        int(header.claimed - header.released),
        int(header.refused + header.refused_address),
        sum(int(row.requests) for row in rows),
        sum(int(row.errors) for row in rows),
        int(header.buried) + sum(int(row.buried) for row in rows),
        ended,
    )


def loads(inside: Inside) -> dict[int, int]:
    """By row, the sessions that the acceptor believes a worker to have, where it is not 0."""
    header = inside.segment.header
    rows = inside.segment.rows[: header.workers]
    found = {
        k: int(row.assigned) - int(row.freed) - int(row.reclaimed) for k, row in enumerate(rows)
    }
    return {k: load for k, load in found.items() if load}
