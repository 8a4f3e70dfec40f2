"""Rest where several came in a turn, and only there."""

from __future__ import annotations

from server.gathering import GATHER, Gathering


def test_rest_after_several() -> None:
    rests: list[float] = []
    gathering = Gathering(rests.append)
    gathering.rest()
    gathering.came(1)
    gathering.rest()
    assert rests == []
    gathering.came(2)
    gathering.rest()
    assert rests == [GATHER]


def test_turns_begin_anew_and_all_listeners_count() -> None:
    rests: list[float] = []
    gathering = Gathering(rests.append)
    for _ in range(3):
        gathering.came(1)
        gathering.rest()
    assert rests == []
    gathering.came(1)
    gathering.came(1)
    gathering.rest()
    gathering.rest()
    assert rests == [GATHER]
