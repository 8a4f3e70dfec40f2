"""What a look-up costs at different sizes, on a machine that changes its speed."""

from __future__ import annotations

import pytest

from bench.suite.lookup import CHURNING, OTHER, OWN, Cost, difference

FAST, SLOW = 3.0, 5.4


def costs(which: str, *sizes: list[float]) -> list[Cost]:
    """Costs of one kind, by size; a number for each round."""
    return [
        Cost("exists", 10**k, which, sorted(rounds)[1], 0.5, rounds)
        for k, rounds in enumerate(sizes)
    ]


STEADY = costs(OTHER, [3.0, 3.0, 3.0], [3.0, 3.0, 3.0])


def test_a_machine_that_is_slow_for_some_rounds_makes_no_difference() -> None:
    flat = costs(OWN, [FAST, SLOW, FAST], [FAST, SLOW, SLOW], [FAST, SLOW, FAST])
    assert difference([*flat, *STEADY]) == 0


def test_a_size_that_costs_more_does() -> None:
    dear = costs(OWN, [FAST, SLOW, FAST], [FAST * 1.2, SLOW * 1.2, FAST])
    assert difference([*dear, *STEADY]) == pytest.approx(0.2)
    churned = costs(CHURNING, [3.0, 3.0, 3.0], [3.9, 3.9, 3.9])
    assert difference([*dear, *churned]) == pytest.approx(0.3)
    assert difference([*STEADY, *costs(OWN, [3.0, 3.0, 3.0], [2.0, 2.0, 3.0])]) == pytest.approx(
        0.5
    )
