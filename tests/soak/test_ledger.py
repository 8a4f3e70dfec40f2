"""What was done to a server excuses what clients saw, and nothing more than that."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.soak.ledger import Ledger, unexcused
from tests.soak.record import Record

DRAIN = 3.0
STRUCK, DRAINED, PRESSED, SPARED = 100, 200, 300, 400


def ledger() -> Ledger:
    made = Ledger(drains={DRAINED: 50.0}, pressed={PRESSED})
    made.strike(STRUCK, 20.0, 0)
    return made


def cut(pid: int, ended: float, *also: int, began: float = 1.0) -> Record:
    return Record("brief", began, ended, pid=pid, also=list(also), cut="waiting for 10")


def failed(pid: int, ended: float, *also: int) -> Record:
    return Record("brief", 1.0, ended, pid=pid, also=list(also), failed=["error 32: no"])


@pytest.mark.parametrize(
    ("record", "excused"),
    [
        (cut(STRUCK, 20.1), True),
        (cut(STRUCK, 5.0), False),
        (cut(SPARED, 20.1), False),
        (cut(SPARED, 20.1, STRUCK), True),
        (failed(STRUCK, 20.1), False),
        (failed(SPARED, 20.1, STRUCK), True),
        (failed(SPARED, 20.1), False),
        (failed(PRESSED, 5.0), True),
        (cut(PRESSED, 5.0), False),
        (cut(DRAINED, 53.0), True),
        (cut(DRAINED, 51.0), False),
        (failed(DRAINED, 53.0), True),
        (cut(0, 21.0), True),
        (cut(0, 54.0, began=52.0), True),
        (cut(0, 10.0), False),
        (cut(0, 40.0, began=30.0), False),
        (cut(0, 40.0, began=21.0), True),
    ],
)
def test_excuses(record: Record, excused: bool) -> None:
    assert unexcused([record], ledger(), DRAIN) == ([] if excused else [record])


def test_who_had_no_trouble_needs_no_excuse() -> None:
    assert unexcused([Record("brief", 1.0, 2.0, pid=SPARED)], Ledger(), DRAIN) == []


@pytest.mark.parametrize(
    ("what", "deaths"),
    [
        (lambda made: made.strike(7, 1.0, 0), []),
        (lambda made: made.drains.update({7: 1.0}), []),
        (lambda made: made.strike(8, 1.0, 0), [7]),
    ],
)
def test_a_death_needs_a_cause(what: Callable[[Ledger], None], deaths: list[int]) -> None:
    made = Ledger()
    what(made)
    made.death(7)
    assert made.deaths == deaths


def test_metrics_are_away_when_their_process_was_killed() -> None:
    made = Ledger(without_metrics=[10.0])
    assert made.killed_metrics(5.0, 10.0)
    assert not made.killed_metrics(10.5, 20.0)
    assert not made.killed_metrics(5.0, 9.0)


def test_a_lock_is_held_by_who_stands_still() -> None:
    made = Ledger()
    made.still(20.0, 5.0)
    text = "error 32: the lock of the triggers was not free for 1 s: its holder hangs"
    records = [
        Record("rule", 1.0, ended, pid=SPARED, failed=[text]) for ended in (10.0, 22.0, 40.0)
    ]
    assert unexcused(records, made, DRAIN) == [records[0], records[2]]
