"""When something is done about code that runs too long, or takes too much memory."""

from __future__ import annotations

import pytest

from workers.patience import Appetite, Attempt, Death, Patience


def decisions(patience: Patience, looks: list[tuple[bytes | None, float]]) -> list[object]:
    return [patience.look(pulse, now) for pulse, now in looks]


STEP = 1 / 16


def test_the_same_code_must_run_for_the_whole_time() -> None:
    patience = Patience(2)
    found = decisions(patience, [(b"a", n * STEP) for n in range(33)])
    assert found == [None] * 32 + [Attempt(first=True)]


@pytest.mark.parametrize("between", [b"b", None])
def test_any_change_starts_anew(between: bytes | None) -> None:
    patience = Patience(2)
    looks = [(between if n == 30 else b"a", n * STEP) for n in range(63)]
    assert decisions(patience, looks) == [None] * 63


def test_time_that_passed_without_a_look_does_not_count() -> None:
    """The process was stopped, or had no CPU."""
    patience = Patience(2)
    assert decisions(patience, [(b"a", 0), (b"a", 1000), (b"a", 2000)]) == [None] * 3


def test_attempts_until_twice_the_time() -> None:
    patience = Patience(2)
    found = decisions(patience, [(b"a", n * STEP) for n in range(65)])
    assert found[32:] == [Attempt(first=True)] + [Attempt(first=False)] * 31 + [Death()]


def test_a_short_limit_leaves_time_for_attempts() -> None:
    patience = Patience(0.01)
    found = decisions(patience, [(b"a", n * STEP) for n in range(40)])
    assert 16 <= found.index(Death()) <= 22


MB = 1 << 20


def test_memory_below_the_limit_is_nobodys_business() -> None:
    appetite = Appetite(100 * MB)
    assert [appetite.look(n * MB, b"a", n) for n in range(101)] == [None] * 101


def test_memory_over_the_limit_is_the_running_codes() -> None:
    appetite = Appetite(100 * MB)
    assert appetite.look(101 * MB, None, 0) is None
    assert appetite.look(101 * MB, b"a", 1) == Attempt(first=True)
    assert appetite.look(101 * MB, b"a", 2) == Attempt(first=False)
    assert appetite.look(101 * MB, b"b", 3) == Attempt(first=True)
    assert appetite.look(99 * MB, b"b", 4) is None


def test_far_too_much_memory_for_a_while_is_the_end() -> None:
    appetite = Appetite(100 * MB)
    assert appetite.look(151 * MB, None, 0) is None
    assert appetite.look(149 * MB, None, 29) is None
    assert appetite.look(151 * MB, None, 40) is None
    assert appetite.look(151 * MB, None, 69) is None
    assert appetite.look(151 * MB, b"a", 70) == Death()


def test_the_fuller_the_more_often() -> None:
    appetite = Appetite(1000 * MB)
    appetite.look(0, None, 0)
    assert appetite.pause == pytest.approx(0.13, abs=0.01)
    appetite.look(900 * MB, None, 0)
    assert appetite.pause == pytest.approx(0.013, abs=0.001)
    appetite.look(1000 * MB, None, 0)
    assert appetite.pause == 0.005


def test_without_limits_nothing_happens() -> None:
    patience, appetite = Patience(float("inf")), Appetite(float("inf"))
    assert [patience.look(b"a", n / 10) for n in range(1000)] == [None] * 1000
    assert appetite.look(1e15, b"a", 1) is None
    assert (patience.pause, appetite.pause) == (0.25, 0.25)
