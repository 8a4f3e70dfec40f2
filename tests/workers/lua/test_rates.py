"""Counters since the last reset, and what they grow by in a second: engine/rates."""

from __future__ import annotations

from typing import Final

import pytest

from tests.helpers.engine import Engine

_AT: Final = """
rates, sys = require('beespace.engine.rates'), require('beespace.engine.sys')
local clock = sys.clock
sys.clock = function() return 100 end
rates.%s()
sys.clock = clock
"""


@pytest.fixture(autouse=True)
def _at_100(engine: Engine) -> None:
    engine.row.evals = engine.row.bases[2] = 0
    engine.execute(_AT % "attach")


def rate(engine: Engine) -> float:
    source = "return rates.growth(rates.EVALS, 0) / rates.SECONDS"
    return float(engine.execute(source))


def second(engine: Engine, now: float, evals: int = 0) -> float:
    """So many more evals until ``now``; the rate then."""
    engine.row.evals += evals
    engine.execute(f"rates.tick({now})")
    return rate(engine)


def test_a_rate_is_the_mean_of_five_seconds(engine: Engine) -> None:
    assert rate(engine) == 0
    assert [second(engine, 101 + each, 100) for each in range(6)] == [20, 40, 60, 80, 100, 100]
    assert [second(engine, 107 + each) for each in range(6)] == [80, 60, 40, 20, 0, 0]


def test_what_was_counted_before_is_no_growth(engine: Engine) -> None:
    engine.row.evals = 1_000_000
    engine.execute(_AT % "attach")
    assert second(engine, 101) == 0


def test_looks_that_were_missed_are_made_up_for(engine: Engine) -> None:
    assert second(engine, 103, 300) == 60
    assert second(engine, 104) == 60
    assert second(engine, 106) == 40
    assert second(engine, 200, 940) == 10


def test_a_second_that_is_longer_counts_for_its_length(engine: Engine) -> None:
    assert second(engine, 101.25, 125) == 20


def test_a_part_of_a_second_waits_for_the_rest(engine: Engine) -> None:
    assert second(engine, 100.4, 50) == 0
    assert second(engine, 99) == 0
    assert second(engine, 101, 50) == 20


def test_a_counter_of_a_worker_that_begins_anew_gives_no_negative_rate(engine: Engine) -> None:
    second(engine, 101, 50)
    engine.row.evals = 10
    assert second(engine, 102) == 10


def total(engine: Engine) -> int:
    return int(engine.execute("return rates.total(rates.EVALS, 0)"))


def test_a_reset_begins_at_0_and_leaves_the_counters(engine: Engine) -> None:
    engine.row.evals = 70
    second(engine, 101)
    engine.execute("rates.reset()")
    assert (total(engine), rate(engine), engine.row.evals) == (0, 0, 70)
    engine.row.evals += 3
    assert total(engine) == 3


def test_the_reset_of_another_worker_is_noticed(engine: Engine) -> None:
    second(engine, 101, 500)
    engine.row.bases[2] = engine.row.evals
    engine.segment.header.stat_reset = 101.5
    assert total(engine) == 0
    assert second(engine, 102, 10) == 2
    assert second(engine, 103, 10) == 4


def test_the_batch_at_hand_counts(engine: Engine) -> None:
    engine.row.evals = 5
    before = total(engine)
    engine.execute("require('beespace.engine.state').st.evals = 2")
    try:
        assert total(engine) == before + 2
        engine.execute("rates.reset()")
        assert total(engine) == 0
    finally:
        engine.execute("require('beespace.engine.state').st.evals = 0")


def test_a_base_that_is_ahead_of_its_counter_is_no_negative_total(engine: Engine) -> None:
    engine.row.bases[2] = engine.row.evals + 4
    assert total(engine) == 0
