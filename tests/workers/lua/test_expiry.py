"""What becomes of a session, as a table of facts and times."""

from __future__ import annotations

import pytest

from shm.states import EndReason
from tests.helpers.engine import Engine

STAYS, PARTS = 0, -1
DAY = 86400
FACTS = {
    "age": 5,
    "quiet": 1,
    "requests": 1,
    "busy": False,
    "running": False,
    "idle": 0,
    "login": 0,
    "span": 0,
}
JUDGE = "return require('beespace.engine.expiry').judge(...)"
BUSY = {"busy": True, "running": True}


@pytest.mark.parametrize(
    ("facts", "decision", "seconds"),
    [
        ({}, STAYS, DAY),
        # Silence.
        ({"idle": 3}, STAYS, 2),
        ({"idle": 1}, EndReason.IDLE, 0),
        ({"idle": 1, "quiet": 0.9}, STAYS, 0.1),
        ({"idle": 1, **BUSY}, STAYS, 1),
        ({"idle": 1, "busy": True}, STAYS, 1),
        ({"idle": 2 * DAY}, STAYS, DAY),
        # Nothing was ever asked.
        ({"login": 5}, STAYS, DAY),
        ({"login": 5, "requests": 0}, EndReason.LOGIN_TIMEOUT, 0),
        ({"login": 6, "requests": 0}, STAYS, 1),
        ({"login": 5, "requests": 0, **BUSY}, STAYS, DAY),
        ({"login": 9, "requests": 0, "idle": 3}, STAYS, 2),
        # Age.
        ({"span": 5}, EndReason.MAX_AGE, 0),
        ({"span": 7, "idle": 4}, STAYS, 2),
        ({"span": 5, **BUSY}, PARTS, 0.05),
        ({"span": 5, "age": 14.9, **BUSY}, PARTS, 0.05),
        ({"span": 5, "age": 15, **BUSY}, EndReason.MAX_AGE, 0),
        ({"span": 5, "idle": 1, "login": 1, "requests": 0}, EndReason.MAX_AGE, 0),
    ],
)
def test_judge(engine: Engine, facts: dict[str, object], decision: int, seconds: float) -> None:
    assert facts.keys() <= FACTS.keys()
    found = engine.execute(JUDGE, *(FACTS | facts).values())
    assert found[0] == decision
    assert found[1] == pytest.approx(seconds)


def test_ages_are_spread_evenly(engine: Engine) -> None:
    source = "return require('beespace.engine.expiry').span(..., 100, 0.2)"
    spans = sorted(engine.execute(source, number) for number in range(1, 101))
    assert 80 <= spans[0] < spans[-1] <= 100
    # 100 sessions in 20 seconds, and no second has many more than its five.
    assert all(later - one > 0.7 for one, later in zip(spans, spans[5:], strict=False))


def test_without_jitter_all_are_as_old(engine: Engine) -> None:
    source = "return require('beespace.engine.expiry').span(..., 100, 0)"
    assert {engine.execute(source, number) for number in (1, 2, 77)} == {100}
