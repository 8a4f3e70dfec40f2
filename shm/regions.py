"""Where the parts of a segment begin, and how long it is. Pure.

:mod:`shm.segment` makes and maps segments by it. What the parts hold: :mod:`shm.layout`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shm import layout

PAGE: Final = 4096
ROWS: Final = layout.HEADER.size
SLOTS: Final = ROWS + layout.ROW.size * layout.MAX_WORKERS


@dataclass(frozen=True)
class Regions:
    """Bytes from the start of a segment to each of its parts.

    ``capacity`` slots, ``event_bytes`` of events, ``workers`` rows that may have a worker.
    """

    capacity: int
    event_bytes: int
    workers: int

    @property
    def slots_end(self) -> int:
        """The byte behind the slots."""
        return SLOTS + layout.SLOT.size * self.capacity

    @property
    def events(self) -> int:
        """The next page behind the slots."""
        return _page(self.slots_end)

    @property
    def triggers(self) -> int:
        """The next page behind the events."""
        return _page(self.events + self.event_bytes)

    @property
    def failures(self) -> int:
        """Behind the triggers, which fill their pages."""
        return self.triggers + layout.TRIGGERS_BYTES

    @property
    def tallies(self) -> int:
        """Behind the failures."""
        return self.failures + layout.FAILURE.size * layout.FAILURES

    @property
    def tally_count(self) -> int:
        """How many tallies: every session may have another user, and half of them stay free."""
        wanted: int = 1 << (2 * self.capacity - 1).bit_length()
        return max(wanted, 16)

    @property
    def orders(self) -> int:
        """Behind the tallies: one for each slot."""
        return self.tallies + layout.TALLY.size * self.tally_count

    @property
    def history(self) -> int:
        """The next page behind the orders: a ring for each row, and one for the supervisor."""
        return _page(self.orders + layout.ORDER.size * self.capacity)

    @property
    def size(self) -> int:
        """Bytes of the whole segment."""
        return self.history + layout.END.size * layout.HISTORY * (self.workers + 1)


LEAST: Final = Regions(1, 0, 1)
"""No segment is smaller."""


def _page(at: int) -> int:
    """The first page border at or behind a byte."""
    return -(-at // PAGE) * PAGE
