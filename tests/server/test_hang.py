"""Which processes hang: a table of what was seen, look by look."""

from __future__ import annotations

import pytest

from server.hang import MOST, PERIOD, Bounds, Seen, Verdict, Watch

BOUNDS = Bounds(hang=3.0, start=6.0)
STILL = [7] * 20
NEVER_READY: list[int | None] = [None] * 30
TABLE = [
    # name, beats at looks half a second apart, bounds, number of the look that finds it or None
    ("moves", list(range(20)), BOUNDS, None),
    ("stands still", STILL, BOUNDS, 6),
    ("stands still after a while", [1, 2, 3, *STILL], BOUNDS, 9),
    ("moves just in time", [*([1] * 6), *([2] * 6), *([3] * 6)], BOUNDS, None),
    ("no bound", STILL, Bounds(hang=0.0, start=1.0), None),
    ("starts for too long", NEVER_READY, BOUNDS, 12),
    ("starts in time, slower than a ready one may be", [*([None] * 11), *range(9)], BOUNDS, None),
    ("starts, no bound", NEVER_READY, Bounds(hang=1.0, start=0.0), None),
    ("ready, and still from then on", [*([None] * 4), *STILL], BOUNDS, 10),
]


@pytest.mark.parametrize(
    ("beats", "bounds", "found"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_decisions(beats: list[int | None], bounds: Bounds, found: int | None) -> None:
    watch = Watch()
    told = [
        number
        for number, beat in enumerate(beats)
        if watch.look([Seen(5, beat)], number * PERIOD, bounds)
    ]
    assert told == ([] if found is None else [found])


def test_a_verdict_says_who_and_how_long() -> None:
    watch = Watch()
    both = [Seen(5, None), Seen(6, 1)]
    for number in range(4):
        assert watch.look([*both, Seen(7, number)], number * PERIOD, Bounds(2.0, 2.0)) == []
    found = watch.look([*both, Seen(7, 4)], 4 * PERIOD, Bounds(2.0, 2.0))
    assert found == [Verdict(5, 2.0, starting=True), Verdict(6, 2.0, starting=False)]


def test_a_machine_that_was_suspended_blames_nobody() -> None:
    watch = Watch()
    seen = [Seen(pid, 1) for pid in range(8)]
    assert watch.look(seen, 0.0, BOUNDS) == []
    assert watch.look(seen, 3600.0, BOUNDS) == []
    later = [Seen(pid, 2) for pid in range(8)]
    assert watch.look(later, 3600.5, BOUNDS) == []


def test_a_supervisor_that_is_late_finds_them_all_the_same() -> None:
    watch = Watch()
    late = [10 * number for number in range(int(BOUNDS.hang / MOST) + 1)]
    told = [watch.look([Seen(5, 1)], now, BOUNDS) for now in late]
    assert [len(found) for found in told] == [0, 0, 0, 1]


def test_the_next_process_begins_anew() -> None:
    watch = Watch()
    for number in range(6):
        assert watch.look([Seen(5, 1)], number * PERIOD, BOUNDS) == []
    assert watch.look([Seen(6, 1)], 6 * PERIOD, BOUNDS) == []
    # The first one's number, given to another process.
    assert watch.look([Seen(5, 1)], 7 * PERIOD, BOUNDS) == []


def test_bounds_may_change() -> None:
    watch = Watch()
    for number in range(20):
        assert watch.look([Seen(5, 1)], number * PERIOD, Bounds()) == []
    assert len(watch.look([Seen(5, 1)], 20 * PERIOD, BOUNDS)) == 1


def test_silence_is_told_of_those_that_were_seen() -> None:
    watch = Watch()
    for now, beat in ((0.0, 1), (0.5, 1), (1.0, 1)):
        watch.look([Seen(7, beat)], now, Bounds())
    assert (watch.silence(7), watch.silence(8)) == (1.0, None)
    watch.look([Seen(7, 2)], 1.5, Bounds())
    assert watch.silence(7) == 0.0
    watch.look([], 2.0, Bounds())
    assert watch.silence(7) is None
