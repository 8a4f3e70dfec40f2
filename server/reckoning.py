"""What an acceptor that died had not counted, counted by the next one before it claims anything.

It may have died between what it did and the count of it: a slot that it claimed or gave back, a
message to a worker. What counts in the end are the slots:

    rows' assigned = slots that the row's worker has + those it has freed
    released       = claimed - slots that are taken  - those that were freed

Workers free slots meanwhile, so the slots are looked at until nothing has moved between two looks.
"""

from __future__ import annotations

import time
from typing import Final

from shm.segment import Segment
from shm.sessions import SessionTable

PAUSE: Final = 0.02
"""Seconds between two looks."""
LOOKS: Final = 10
"""Looks at most. Without two alike the counts stay as they are: too high, if anything."""


def settle(segment: Segment, table: SessionTable) -> None:
    """Set the acceptor's counters right. Acceptor only, while it is the only one."""
    header = segment.header
    if not header.claimed:
        return
    before = _look(segment, table)
    for _ in range(LOOKS):
        time.sleep(PAUSE)
        now = _look(segment, table)
        if now == before:
            break
        before = now
    else:
        return
    ended, held = now
    for index, (gone, there) in enumerate(zip(ended, held, strict=True)):
        segment.rows[index].assigned = gone + there
    header.released = header.claimed - sum(ended) - sum(held)


def _look(segment: Segment, table: SessionTable) -> tuple[list[int], list[int]]:
    """Slots that were freed and slots that are taken, by row."""
    count = int(segment.header.workers)
    ended = [int(row.freed + row.reclaimed) for row in segment.rows[:count]]
    return ended, table.held(range(count))
