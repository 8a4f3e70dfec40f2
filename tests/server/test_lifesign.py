"""When a server lives: a table of beats, look by look."""

from __future__ import annotations

import pytest

from server.lifesign import Lifesign

PERIOD = 1.0
PATIENCE = 3.0

TABLE = [
    # name, (time, beats of two workers) of each look, number of the first look that finds it dead
    ("all move", [(t, (t, t)) for t in range(9)], None),
    ("one moves", [(t, (5, t)) for t in range(9)], None),
    ("none moves", [(t, (5, 5)) for t in range(9)], 4),
    ("none moves from the third look on", [(t, (min(t, 2), 7)) for t in range(9)], 6),
    ("moves just in time", [(t, (t // 3, 0)) for t in range(12)], None),
    ("a new process on the row counts from nought", [(0, (9, 9)), (3, (0, 9)), (6, (0, 9))], None),
    ("stopped for an hour between two looks", [(0, (1, 1)), (3600, (1, 1))], None),
    ("dead after the hour", [(0, (1, 1)), (3600, (1, 1)), (3601, (1, 1)), (3602, (1, 1))], 3),
]


@pytest.mark.parametrize(("looks", "dead"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE])
def test_decisions(looks: list[tuple[float, tuple[int, int]]], dead: int | None) -> None:
    lifesign = Lifesign(PATIENCE, PERIOD)
    lives = [lifesign.look(beats, float(now)) for now, beats in looks]
    assert (lives.index(False) if False in lives else None) == dead


def test_a_server_comes_back() -> None:
    lifesign = Lifesign(PATIENCE, PERIOD)
    assert [lifesign.look((1,), float(now)) for now in range(6)][-1] is False
    assert lifesign.look((2,), 6.0)
