"""The parts of a segment lie behind each other, on the borders that their users expect."""

from __future__ import annotations

import pytest

from shm import layout, regions
from shm.record import CACHE_LINE
from shm.regions import PAGE, Regions

SMALL = Regions(10, 65536, 2)


def test_parts_follow_each_other() -> None:
    assert regions.ROWS == 4096
    assert regions.SLOTS == 4096 + 832 * layout.MAX_WORKERS
    assert SMALL.slots_end == regions.SLOTS + 2560
    assert SMALL.events == regions.SLOTS + 4096
    assert SMALL.triggers == SMALL.events + 65536
    assert SMALL.failures == SMALL.triggers + (1 << 20)
    assert SMALL.tallies == SMALL.failures + (1 << 20)
    assert SMALL.orders == SMALL.tallies + 8 * 32
    assert SMALL.history == SMALL.tallies + PAGE
    assert SMALL.size == SMALL.history + 3 * 1024 * 256


def test_a_part_that_fills_its_pages_is_followed_at_once() -> None:
    full = Regions(16, 65537, 2)
    assert full.events == full.slots_end
    assert full.triggers == full.events + 65536 + PAGE


@pytest.mark.parametrize(("capacity", "count"), [(1, 16), (16, 32), (17, 64)])
def test_half_of_the_tallies_stay_free(capacity: int, count: int) -> None:
    assert Regions(capacity, 0, 1).tally_count == count


@pytest.mark.parametrize("capacity", [1, 10, 16, 65537])
def test_parts_start_where_their_records_may(capacity: int) -> None:
    parts = Regions(capacity, 4097, 3)
    assert parts.events % PAGE == parts.triggers % PAGE == parts.failures % PAGE == 0
    assert parts.history % PAGE == parts.orders % 8 == regions.SLOTS % CACHE_LINE == 0


def test_no_segment_is_smaller_than_the_least() -> None:
    assert regions.LEAST.size < SMALL.size
