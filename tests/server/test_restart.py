"""When a dead child is started again: a table."""

from __future__ import annotations

import pytest

from server.restart import PERIOD, STORM, VAIN, Decision, History, Outlook, decide

TABLE = [
    # a letter a death, R: it had been ready, V: it had not; delay, storm
    ("", 0.1, False),
    ("R", 0.1, False),
    ("RR", 0.2, False),
    ("RRR", 0.4, False),
    ("RRRRRRR", 5.0, False),
    ("RRRRRRRRR", 5.0, False),
    ("RRRRRRRRRR", 30.0, True),
    ("V", 1.0, False),
    ("VV", 2.0, False),
    ("VVVV", 8.0, False),
    ("VVVVV", 30.0, True),
    ("VVVVVVVVVVVV", 30.0, True),
    # Killed, and what should replace it does not come up.
    ("RV", 1.0, False),
    ("RVVVV", 8.0, False),
    ("RVVVVV", 30.0, True),
    # One that was ready in between ends the row, its death counts as any other.
    ("VVVVR", 1.6, False),
    ("VVVVVR", 3.2, False),
    ("RVRVRVRVR", 5.0, False),
    ("RVRVRVRVRV", 30.0, True),
]


def after(deaths: str, lived: float = 1.0) -> History:
    """The history of a child whose processes all lived as long."""
    history = History()
    for letter in deaths:
        history = history.with_death(lived, was_ready=letter == "R")
    return history


@pytest.mark.parametrize(("deaths", "delay", "storm"), TABLE)
def test_decisions(deaths: str, delay: float, storm: bool) -> None:
    decision = decide(after(deaths))
    assert decision.delay == pytest.approx(delay)
    assert decision.storm is storm


@pytest.mark.parametrize(
    ("lived", "storm"),
    [(0.0, True), (0.5, True), (6.0, True), (7.0, False), (PERIOD, False), (3600.0, False)],
)
def test_deaths_far_from_each_other_are_no_storm(lived: float, storm: bool) -> None:
    assert decide(after("R" * 3 * STORM, lived)).storm is storm


def test_a_child_that_is_never_ready_is_a_storm_however_long_each_takes() -> None:
    assert decide(after("V" * VAIN, 2 * PERIOD)).storm


def test_a_storm_is_over_when_a_child_stays() -> None:
    history = after("R" * STORM).with_death(PERIOD - STORM - 1, was_ready=True)
    assert decide(history).storm
    assert decide(history.with_death(PERIOD, was_ready=True)) == Decision(0.1, storm=False)


def test_a_history_stays_short() -> None:
    assert len(after("R" * 3 * STORM, 0.5).deaths) == STORM


def test_an_outlook_follows_the_life_of_a_child() -> None:
    outlook = Outlook().ends("exit code 1", 1000.0)
    assert (outlook.reason, outlook.ended, outlook.next_start) == ("exit code 1", 1000.0, None)
    waiting = outlook.waits(Decision(30.0, storm=True), 5.0)
    assert (waiting.reason, waiting.next_start, waiting.storm) == ("exit code 1", 35.0, True)
    started = waiting.without_start()
    assert (started.next_start, started.storm) == (None, True)
    assert started.ends("exit code 3", 1001.0).storm
    assert started.is_ready() == outlook
